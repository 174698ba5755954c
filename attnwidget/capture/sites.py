"""The sites of a recording: which strips they count, which layer they are, and how their weights are kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from attnwidget.capture.call import Call
from attnwidget.capture.counted import Counted
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.factors import Reader
from attnwidget.capture.kinds import tower_of
from attnwidget.capture.pieces import Rows
from attnwidget.capture.sharding import Sharding
from attnwidget.capture.sizes import EXPECTED_STEPS, Sizer
from attnwidget.checks import HALF_SUM_TOLERANCE
from attnwidget.ledger import CONTEXT, SOURCE, STRIPS_OF, TARGET
from attnwidget.outline import Kind, Site, StoreKind
from attnwidget.stores import Factors
from attnwidget.stores.softmax import Softmax
from attnwidget.trace import Trace


class Sites:
    """Adds sites to a trace, and rows to sites.

    Args:
        trace: where sites go.
        sizer: chooses how weights are kept.
        sharding: brings the heads of ranks together.
        tolerances: how far the rows of a module may miss 1, as far as that is known.
    """

    def __init__(
        self,
        trace: Trace,
        sizer: Sizer,
        sharding: Sharding,
        tolerances: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.names: dict[str, Site] = {}
        self.sizer, self.sharding = sizer, sharding
        self.tolerances = dict(tolerances)
        self.as_weights = False  # whether queries and keys are not to be kept, because they do not tell all of it
        self._trace, self._strips, self._reader = trace, Counted(trace), Reader()
        self._stores: dict[str, StoreKind] = {}
        self._n_layers: Counter[tuple[Kind, str]] = Counter()  # so far, by tower
        self._ready: dict[str, list[Factors]] = {}  # what was read when a store was chosen
        self._biased: dict[str, Softmax] = {}  # of sites that add a bias to their scores, so far
        self._n_keys: dict[str, int] = {}  # that the store of a site has been brought, where it keeps keys

    @property
    def is_seen(self) -> bool:
        """Whether somebody looks on while the trace grows."""
        return self._trace.is_observed

    @property
    def are_plain(self) -> bool:
        """Whether no site is there, none is changed by edits, and this process has all heads."""
        return not (self.names or self.as_weights or self.sharding.is_spread)

    def keep_weights(self, reason: str) -> None:
        """Keep weights as they are, because queries and keys do not tell them.

        Raises:
            ValueError: queries and keys are to be kept.
        """
        if self.sizer.choice == "qk":
            raise ValueError(
                f"store: 'qk' came with {reason}, whose weights do not come of one set of queries and keys. "
                "Use 'auto', 'dense' or 'reduced'."
            )
        self.as_weights = True

    def note(self, call: Call, name: str) -> None:
        """Note how far the rows of a module may miss 1."""
        if call.gate:
            self.tolerances[name] = math.inf
        elif call.sinks:
            self.tolerances[name] = 1.0
        elif call.attention.dtype in (torch.float16, torch.bfloat16):
            self.tolerances.setdefault(name, HALF_SUM_TOLERANCE)

    def add(
        self,
        name: str,
        kind: Kind,
        rows: Rows,
        *,
        decoding: bool = False,
        alone: bool = False,
        apart: bool = False,
    ) -> None:
        """Add a site.

        Args:
            name: the module, and which of its calls.
            kind: of attention.
            rows: its first rows.
            decoding: rows come step by step, so that a decoder's keys are what it has read so far.
            alone: there is one strip only, as in a language model that reads.
            apart: what does not fit a strip has tokens of its own, and is not complained of.
        """
        query, key = (SOURCE, SOURCE) if alone and kind == "decoder" else STRIPS_OF[kind]
        if decoding and kind == "decoder":
            key = CONTEXT
            self._strips.begin_context(rows.n_keys, taken=any(site.key == SOURCE for site in self.names.values()))
        query, key = (
            self._strips.of(strip, name, count, whole=kind != "decoder" or rows.n_queries == rows.n_keys, apart=apart)
            for strip, count in ((query, rows.n_queries), (key, rows.n_keys))
        )
        layer = self._n_layers[kind, tower_of(name)]
        self._n_layers[kind, tower_of(name)] += 1
        _, n_heads = self.sharding.heads(name, rows.n_heads)
        site = Site(name, kind, layer, n_heads, query, key)
        steps = EXPECTED_STEPS if decoding and query == TARGET else 0
        store = self.sizer.choose(
            name,
            rows,
            lambda: self._has_factors(name, rows),
            n_heads=n_heads,
            n_queries=max(steps, rows.n_queries),
            n_keys=rows.n_keys + steps,
        )
        self._trace.add_site(site, store=store, tolerance=self.tolerances.get(name.partition("#")[0]))
        self.names[name] = site
        self._stores[name] = store

    def append_rows(self, rows: Mapping[str, Rows], *, n_keys: int = 0) -> None:
        """Add all rows of sites.

        Args:
            rows: what to add.
            n_keys: how many keys they have at least where those are of the target; keys that no row saw are 0.
        """
        together: dict[str, np.ndarray | Factors] = {}
        for name, it in rows.items():
            n_least = n_keys if self.names[name].key == TARGET else 0
            found = self._ready.pop(name, None) or self._factors(name, it)
            if found is None or (self._stores[name] != "qk" and (len(found) > 1 or n_least > it.n_keys)):
                self.append({name: self._explained(name, it, n_least)})
            elif len(found) == 1:
                together[name] = found[0]
            else:
                for factors in found:
                    self.append({name: factors})
        if together:
            self.append(together)

    def begin_step(self) -> None:
        """Forget the masks of the last step."""
        self._reader = Reader()

    def of_step(self, name: str, rows: Rows) -> np.ndarray | Factors:
        """Return the one row of a step as the site keeps it; keys that it has are not brought again."""
        self._ready.pop(name, None)
        found = self._factors(name, rows, self._n_keys.get(name, 0))
        return self._explained(name, rows) if found is None else found[0]

    def _explained(self, name: str, rows: Rows, n_keys: int = 0) -> np.ndarray:
        """Return the weights of rows, once the trace knows what they came of."""
        for seen in rows.seen() if n_keys <= rows.n_keys and not self.sharding.is_spread else ():
            self._trace.tell_terms(name, seen)
        return rows.dense(n_keys)

    def _factors(self, name: str, rows: Rows, n_before: int = 0) -> list[Factors] | None:
        """Return what rows come from, or None where their weights are kept as they are."""
        if self.as_weights or self._stores[name] == "reduced":
            return None
        found = self._reader.factors(rows, n_before)
        if found is not None and found[0].bias is not None and self._stores[name] != "qk":
            return None  # which grows with each step, and is no faster to compute later
        if found is None and self._stores[name] == "qk":
            raise CaptureError(
                f"{name}: its mask is of a kind that queries and keys do not tell, and an earlier one was not. "
                "Use store='dense' or 'reduced'."
            )
        return found

    def _has_factors(self, name: str, rows: Rows) -> bool:
        found = None if self.as_weights else self._reader.factors(rows)
        if found is not None:
            self._ready[name] = found
        return found is not None

    def append(
        self,
        rows: Mapping[str, np.ndarray | Factors],
        *,
        token: str | None = None,
        candidates: Iterable[tuple[str, float]] = (),
    ) -> None:
        """Add rows of several sites, and with `token` the step that they chose.

        Raises:
            CaptureError: a bias that is no matter of distance, which a single row cannot tell.
        """
        for name, it in rows.items():
            if isinstance(it, Factors) and it.bias is not None:
                self._check_bias(name, it)
        self._n_keys.update({name: it.shape[2] for name, it in rows.items() if isinstance(it, Factors)})
        self._trace.append(self.sharding.gathered(rows, token), token=token, candidates=candidates)

    def _check_bias(self, name: str, factors: Factors) -> None:
        softmax = Softmax.of(factors)
        try:
            self._biased[name] = self._biased.get(name, softmax).joined(softmax)
        except ValueError:
            raise CaptureError(
                f"{name}: its weights were to be kept as queries and keys, but its bias is no matter of distance. "
                "Use store='dense' or 'reduced'."
            ) from None

    def takes_factors(self, name: str, *, n_keys: int) -> bool:
        """Tell whether a site takes queries and keys of what the decoder has read, and has so many keys already."""
        site = self.names.get(name)
        if site is None or site.key != CONTEXT or self.as_weights or self.sharding.is_spread:
            return False
        return self._n_keys.get(name) == n_keys

    def extend(self, rows: Mapping[str, Factors], steps: Sequence[tuple[str, list[tuple[str, float]]]]) -> None:
        """Add steps, each a token with its candidates, and their rows of each site.

        Args:
            rows: of sites of which it `takes_factors`, one row a step.
            steps: what they chose.
        """
        self._n_keys.update({name: it.shape[2] for name, it in rows.items()})
        self._trace.extend(rows, steps)
