"""The recorder: calls of adapters become rows of a trace, one decoder step at a time or all at the end."""

from __future__ import annotations

import warnings
import weakref
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from attnwidget.capture.call import Call
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.kinds import kind_of
from attnwidget.capture.modules import RunningModules
from attnwidget.ledger import SOURCE, STRIPS_OF, TARGET
from attnwidget.outline import Kind, Site
from attnwidget.trace import Trace

_LISTED = 8  # modules that an error names
_HALF_TOLERANCE = 2e-2  # what half precision leaves of a sum of 1
_CALLER = 4  # frames from a warning to the user's `with`


@dataclass(frozen=True)
class _Taken:
    """A call that belongs to no step yet, with its rows: float32 [head, query, key]."""

    call: weakref.ref[Call]  # whose weights may be on another device, and large
    name: str
    forward: int
    rows: np.ndarray
    cross: bool | None
    causal: bool | None


class Recorder:
    """Takes calls and appends them to a trace.

    Args:
        model: the model that is recorded.
        trace: where rows go.
        example: which example of a batch to keep; None where one is expected.
    """

    def __init__(self, model: torch.nn.Module, trace: Trace, example: int | None) -> None:
        self.trace = trace
        self.modules = RunningModules(model)
        self._model, self._example = model, example
        self._pending: list[_Taken] = []
        self._sites: dict[str, Site] = {}
        self._notes: dict[str, None] = {}  # in order
        self._tolerance: float | None = None
        self._n_steps = 0
        self._n_target = len(trace.tokens["target"])  # 0 where the steps will tell

    def take(self, call: Call) -> None:
        """Keep a call until the step that it belongs to is known."""
        name = call.module or type(self._model).__name__
        n_examples = call.weights.shape[0]
        if self._example is None and n_examples != 1:
            raise CaptureError(
                f"{name}: a batch of {n_examples} examples came, a trace holds one. "
                "Say which one to keep, as in aw.record(model, example=0)."
            )
        index = self._example or 0
        if not -n_examples <= index < n_examples:
            raise CaptureError(f"example {index} was asked for, {name} has a batch of {n_examples}.")
        if call.weights.dtype in (torch.float16, torch.bfloat16):
            self._tolerance = _HALF_TOLERANCE
        if call.sinks:
            self._tolerance = 1.0
        if call.note:
            self._notes[call.note] = None
        try:
            rows = call.weights[index].to(device="cpu", dtype=torch.float32, copy=True).numpy()
        except (RuntimeError, NotImplementedError) as error:
            raise CaptureError(
                f"{name}: its weights hold no numbers yet. Is it on the meta device, or inside torch.func.vmap?"
            ) from error
        self._pending.append(_Taken(weakref.ref(call), name, self.modules.n_forwards, rows, call.cross, call.causal))

    def withdraw(self, call: Call) -> None:
        """Drop a call that no step has used yet."""
        self._pending = [taken for taken in self._pending if taken.call() is not call]

    def step(self, token: str, candidates: Iterable[tuple[str, float]]) -> None:
        """Give the rows since the last step to a token."""
        index = self._n_steps
        if not self._pending and not self._sites:
            raise CaptureError(f"Step 0 has no weights: {self._what_ran()}")
        if index < self._n_target and token != self.trace.tokens["target"][index]:
            raise ValueError(
                f"step {index}: its token is not token {index} of strip 'target'. "
                "Leave target out of aw.record where the model chooses its own tokens."
            )
        early: dict[str, np.ndarray] = {}
        rows: dict[str, np.ndarray] = {}
        for name, parts in self._by_site(by_step=True).items():
            last = parts[-1].rows
            if name not in self._sites:
                self._add_site(name, self._kind(name, parts[-1], last, step=index), last.shape[0])
                if self._sites[name].query == "source":
                    early[name] = last
            if self._sites[name].query == "target":
                rows[name] = self._fitted(name, last[:, -1:], step=index)  # the last row chose the token
        self._pending.clear()
        if early:
            self.trace.append(early, tolerance=self._tolerance)
        self.trace.append(rows, token=token, candidates=candidates, tolerance=self._tolerance)
        self._n_steps += 1

    def finish(self) -> None:
        """Give what is left to the trace, and close it."""
        if self._n_steps and self._pending:
            count = max(Counter(taken.name for taken in self._pending).values())
            self._notes[
                f"Attention ran {count} more time{'s' * (count > 1)} after the last aw.step(token); "
                "those rows chose no token and were left out of the trace."
            ] = None
        else:
            by_site = self._by_site(by_step=False)
            whole = {name: self._merged(parts) for name, parts in by_site.items()}
            kinds = {name: self._kind(name, by_site[name][0], rows, step=None) for name, rows in whole.items()}
            if not self._n_target and any(len(by_site[name]) > 1 for name, kind in kinds.items() if kind == "cross"):
                self._notes[
                    "Rows came one by one and aw.step(token) was never called, so output tokens are numbered. Call it "
                    "once a token in the decode loop, as in model.translate(words, on_token=aw.step), or pass target=."
                ] = None
            alone = not self._n_target and "cross" not in kinds.values()
            for name, rows in whole.items():
                self._add_site(name, kinds[name], rows.shape[0], alone=alone)
                self.trace.append({name: self._fitted(name, rows)}, tolerance=self._tolerance)
        self._pending.clear()
        if not self._sites:
            raise CaptureError(self._what_ran())
        self.trace.finish()
        for note in self._notes:
            warnings.warn(note, stacklevel=_CALLER)

    def _by_site(self, *, by_step: bool) -> dict[str, list[_Taken]]:
        """Tell apart what one module did several times in a forward pass.

        Matrices are layers that share it, and so is everything within a step. Single rows follow each other in time,
        and if there are twice as many of them as target tokens, two layers share it.
        """
        n_single = Counter((taken.name, taken.forward) for taken in self._pending if taken.rows.shape[1] == 1)
        ordinals: Counter[tuple[str, int]] = Counter()
        by_site: dict[str, list[_Taken]] = {}
        for taken in self._pending:
            place = (taken.name, taken.forward)
            ordinal = ordinals[place]
            ordinals[place] += 1
            if not by_step and taken.rows.shape[1] == 1:
                fits = self._n_target and n_single[place] % self._n_target == 0
                ordinal %= n_single[place] // self._n_target if fits else 1
            name = taken.name if ordinal == 0 else f"{taken.name}#{ordinal + 1}"
            by_site.setdefault(name, []).append(taken)
        return by_site

    def _merged(self, parts: list[_Taken]) -> np.ndarray:
        """Put rows under what came before; a later matrix has computed the earlier rows again.

        A decoder that keeps its keys says by their number where its rows belong, so that a part of a prompt, or
        a row that was decoded again, takes its place.
        """
        kept: list[np.ndarray] = []
        for part in parts:
            n_before = sum(rows.shape[1] for rows in kept)
            _, n_queries, n_keys = part.rows.shape
            first = n_keys - n_queries
            if (part.causal and 0 < first <= n_before) or (kept and first == n_before == kept[-1].shape[2]):
                kept = [_padded(kept)[:, :first]]
            elif n_queries > 1 and kept:
                if n_before >= n_queries:
                    self._notes[
                        f"{type(self._model).__name__} ran more than once without aw.step(token), and a trace holds "
                        "one run: the last one. Open one aw.record a run to see them all."
                    ] = None
                kept.clear()
            kept.append(part.rows)
        return _padded(kept)

    def _kind(self, name: str, taken: _Taken, rows: np.ndarray, *, step: int | None) -> Kind:
        n_source = len(self.trace.tokens["source"])
        return kind_of(
            name,
            rows,
            n_source=n_source,
            n_target=self._n_target,
            step=step,
            cross=taken.cross,
            causal=taken.causal,
        )

    def _add_site(self, name: str, kind: Kind, n_heads: int, *, alone: bool = False) -> None:
        """Add a site; `alone` says that there is one strip only, as in a language model."""
        query, key = (SOURCE, SOURCE) if alone and kind == "decoder" else STRIPS_OF[kind]
        layer = sum(site.kind == kind for site in self._sites.values())
        site = Site(name, kind, layer, n_heads, query, key)
        self.trace.add_site(site)
        self._sites[name] = site

    def _fitted(self, name: str, rows: np.ndarray, *, step: int | None = None) -> np.ndarray:
        """Fill a decoder's rows up to the target strip, of which they saw the beginning."""
        n_keys = rows.shape[2]
        if self._sites[name].key != TARGET:
            return rows
        if step is not None and not self._n_target and n_keys > step + 1:
            raise CaptureError(
                f"{name}: {n_keys} keys came at step {step}, at most {step + 1} were expected: one a target token. "
                "A decoder that reads a prompt first can be recorded as one forward pass without aw.step."
            )
        return np.pad(rows, ((0, 0), (0, 0), (0, max(self._n_target - n_keys, 0))))

    def _what_ran(self) -> str:
        """Say why there may be no attention, naming the modules that were looked at."""
        name = type(self._model).__name__
        ran = [f"{path or 'the model'} ({kind})" for path, kind in self.modules.ran.items()]
        if not ran and self.modules.ran_elsewhere:
            return f"{name} ran in another thread than the one that records. Open aw.record in the thread that runs it."
        if self.modules.others:
            others = ", ".join(sorted(self.modules.others))
            return f"attention was found in {others}, which is no part of {name}. Record the model that attends."
        if not ran:
            return (
                f"no module of {name} ran while recording. Call the model, or the method that decodes, inside "
                "`with aw.record(model)`."
            )
        more = f" and {len(ran) - _LISTED} more" if len(ran) > _LISTED else ""
        return (
            f"no attention was found in {name}. These modules ran: {', '.join(ran[:_LISTED])}{more}. "
            "Attention of torch.nn and Transformers counts, and so does a softmax whose result flows into a product; "
            "for anything else call aw.mark(weights) where the weights are."
        )


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """Join rows that saw more and more keys."""
    n_keys = max(part.shape[2] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, 0), (0, n_keys - part.shape[2]))) for part in parts], axis=1)
