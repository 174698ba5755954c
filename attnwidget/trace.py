"""Trace: the recording of what a network attended to, step by step.

Glossary of axes, always in this order: `head`, `query` (what attends), `key` (what is attended to). In decoding, step t
is the query row that chose output token t. Strips are named "source" and "target"; a site says which of them its
queries and keys count. Everything that enters is checked once, in the ledger.
"""

from __future__ import annotations

import logging
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from attnwidget import analysis
from attnwidget.foreign import as_sites
from attnwidget.ledger import SOURCE, TARGET, Cursor, Ledger
from attnwidget.outline import Flag, Site, Status, Step, merged
from attnwidget.tokens import Tokens

if TYPE_CHECKING:
    import os

_log = logging.getLogger(__name__)


class Trace:
    """An append-only recording: strips of tokens, sites with weights, decoder steps with candidates, flags.

    Args:
        source: tokens of the input, if they are known already.
        target: tokens of the output, if they are known already; otherwise each step adds its token.
        title: a short name, shown above the picture.
    """

    def __init__(
        self,
        *,
        source: Tokens | Sequence[str] | None = None,
        target: Tokens | Sequence[str] | None = None,
        title: str = "",
    ) -> None:
        if not isinstance(title, str):
            raise TypeError(f"title: {type(title).__name__} came, a string was expected.")
        self.run = uuid.uuid4().hex
        self.title = title
        self.lock = threading.RLock()
        self.ledger = Ledger()
        self._observers: list[Callable[[Trace], None]] = []
        for strip, tokens in ((SOURCE, source), (TARGET, target)):
            if tokens is not None:
                self.set_tokens(strip, tokens)

    @classmethod
    def from_weights(
        cls,
        weights: object,
        *,
        source: Tokens | Sequence[str],
        target: Tokens | Sequence[str] | None = None,
        title: str = "",
    ) -> Trace:
        """Make a trace of weights that some other library returned.

        Args:
            weights: after softmax; [query, key], [head, query, key] or [layer, head, query, key]; or a list or tuple
                with one such array for each layer (a batch axis of 1 is taken off); or such a tuple for each step, as
                generation returns it; or a mapping from "encoder", "decoder" or "cross" to any of these; or an output
                object of Transformers. numpy, torch, JAX, TensorFlow or nested lists.
            source: the input tokens: what the keys are, and the queries too where no target is given.
            target: the output tokens: what the queries are. Without it the weights are self-attention over source.
            title: a short name, shown above the picture.

        Raises:
            TypeError: weights or tokens of a type that cannot be shown.
            ValueError: shapes that do not fit each other or the strips.
        """
        trace = cls(source=source, target=target, title=title)
        for site, array, tolerance in as_sites(weights, has_target=target is not None):
            trace.add_site(site)
            trace.append({site.name: array}, tolerance=tolerance)
        trace.finish()
        return trace

    # -- reading

    @property
    def status(self) -> Status:
        """ "empty" before the first weights, "recording", then "complete" or, after an exception, "stopped"."""
        return self.ledger.status

    @property
    def tokens(self) -> dict[str, Tokens]:
        """The strips by name, "source" and "target"."""
        with self.lock:
            return {name: Tokens(tuple(texts)) for name, texts in self.ledger.strips.items()}

    @property
    def sites(self) -> tuple[Site, ...]:
        """The places where weights were taken, in the order in which they appeared."""
        with self.lock:
            return tuple(record.current for record in self.ledger.records.values())

    @property
    def steps(self) -> tuple[Step, ...]:
        """The decoder steps so far."""
        with self.lock:
            return tuple(self.ledger.steps)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is unusual in any site, each kind once."""
        return merged(flag for site in self.sites for flag in site.flags)

    @property
    def cursor(self) -> Cursor:
        """How far the trace has grown."""
        with self.lock:
            return self.ledger.cursor

    def weights(
        self,
        site: str | int | Site = 0,
        head: int | Literal["mean"] | None = None,
        queries: slice | Sequence[int] = slice(None),
        keys: slice | Sequence[int] = slice(None),
    ) -> np.ndarray:
        """Return recorded weights.

        Args:
            site: a site, its name, or its position in `sites`.
            head: one head, "mean" for the mean over heads, or None for all of them.
            queries: which rows, as a slice or a list of indices.
            keys: which columns, likewise.

        Returns:
            float32 [head, query, key], a copy; without the first axis where `head` is given. Rows sum to 1 over key
            where the model's do. Rows of steps without weights are NaN.

        Raises:
            KeyError: no such site.
            IndexError: no such head, query or key.
        """
        with self.lock:
            record = self.ledger.find(site)
            select = (s if isinstance(s, slice) else np.asarray(s, dtype=int) for s in (queries, keys))
            array = record.store.read(*select, heads=slice(None) if head is None or head == "mean" else head)
        return analysis.mean(array) if head == "mean" else array

    def strength(self, site: str | int | Site = 0, head: int | Literal["mean"] | None = None) -> np.ndarray:
        """Return how much attention each key received so far: the sum of its weights over the queries.

        Returns:
            float32 [head, key], dimensionless; [key] where `head` is given. See `analysis.strength`.
        """
        weights = self.weights(site, head)
        return analysis.strength(weights) if head is None else analysis.strength(weights[None])[0]

    def digest(self, site: str | int | Site = 0, head: int = 0) -> int:
        """Return the CRC-32 of one head's weights, as little-endian float32 [query, key]: equal means complete."""
        return zlib.crc32(self.weights(site, head).astype("<f4").tobytes())

    # -- writing

    def set_tokens(self, strip: str, tokens: Tokens | Sequence[str]) -> None:
        """Say what a strip holds, before the weights that count it.

        Raises:
            TypeError: tokens are not strings.
            ValueError: no such strip, no tokens, or it has tokens already.
        """
        with self.lock:
            self.ledger.set_tokens(strip, tokens)
        self._tell()

    def add_site(self, site: Site) -> None:
        """Add a place where weights are taken.

        Raises:
            ValueError: the name is taken, or the site names a strip that does not exist.
        """
        with self.lock:
            self.ledger.add_site(site)
        self._tell()

    def append(
        self,
        weights: Mapping[str, object],
        *,
        token: str | None = None,
        candidates: Iterable[tuple[str, float]] = (),
        tolerance: float | None = None,
    ) -> None:
        """Add rows of weights, and with `token` the decoder step that they chose.

        Nothing is added unless everything is right. Unusual numbers are kept and flagged, and so are steps for which
        a site has no weights.

        Args:
            weights: for each site by name, [head, query, key]; one query where `token` is given.
            token: the output token that this step chose.
            candidates: (token, probability) pairs, best first.
            tolerance: how far a row may miss 1 before it is flagged; by default what the dtype can hold.

        Raises:
            KeyError: no such site.
            TypeError, ValueError: weights, token or candidates that do not fit; the sentence says which.
        """
        with self.lock:
            self.ledger.append(weights, token, candidates, tolerance)
        self._tell()

    def finish(self, status: Literal["complete", "stopped"] = "complete") -> None:
        """Say that nothing more will come.

        Raises:
            ValueError: a strip that was known beforehand has another length than its rows.
        """
        with self.lock:
            self.ledger.finish(status)
        self._tell()

    def observe(self, observer: Callable[[Trace], None]) -> Callable[[], None]:
        """Call `observer(trace)` after each change, in the thread that made it; return what ends that."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer) if observer in self._observers else None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to a file that `aw.load` reads. See `attnwidget.file.save`."""
        from attnwidget.file import save

        save(self, path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one HTML file with the same views alive, without a kernel. See `attnwidget.export.to_html`."""
        from attnwidget.export import to_html

        to_html(self, path)

    def _tell(self) -> None:
        for observer in tuple(self._observers):
            try:
                observer(self)
            except Exception:  # noqa: BLE001 - whoever looks on must not stop the model that is recorded
                _log.exception("an observer of the trace failed")
