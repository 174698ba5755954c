"""The recorder: calls of adapters become rows of a trace, one decoder step at a time or all at the end."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable

import numpy as np
import torch

from attnwidget.capture.call import Call
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.modules import RunningModules
from attnwidget.outline import Kind, Site
from attnwidget.trace import Trace

_CROSS = re.compile(r"cross|enc_?dec|encoder_attn|(^|[._])src_", re.IGNORECASE)
_DECODER = re.compile(r"(^|[._])dec(oder)?s?($|[._\d])", re.IGNORECASE)
_ENCODER = re.compile(r"(^|[._])enc(oder)?s?($|[._\d])", re.IGNORECASE)
_LISTED = 8  # modules that an error names


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
        self._pending: dict[str, list[np.ndarray]] = {}  # module and ordinal -> rows, [head, query, key] each
        self._ordinals: Counter[str] = Counter()
        self._sites: dict[str, Site] = {}
        self._tolerance: float | None = None

    def owner(self) -> tuple[str, torch.nn.Module | None]:
        """Return the path of the module that runs now, and the module."""
        return self.modules.owner()

    def take(self, call: Call) -> None:
        """Keep a call until the step that it belongs to is known."""
        n_examples = call.weights.shape[0]
        if self._example is None and n_examples != 1:
            raise CaptureError(
                f"{self._name(call.module)}: a batch of {n_examples} examples came, a trace holds one. "
                "Say which one to keep, as in aw.record(model, example=0)."
            )
        index = self._example or 0
        if not -n_examples <= index < n_examples:
            raise CaptureError(f"example {index} was asked for, {self._name(call.module)} has a batch of {n_examples}.")
        if call.weights.dtype in (torch.float16, torch.bfloat16):
            self._tolerance = 2e-2  # what half precision leaves of a sum of 1
        rows = call.weights[index].to(device="cpu", dtype=torch.float32, copy=True).numpy()
        self._pending.setdefault(self._key(call, rows), []).append(rows)

    def step(self, token: str, candidates: Iterable[tuple[str, float]]) -> None:
        """Give the rows since the last step to a token."""
        if not self._pending and not self.trace.sites:
            raise CaptureError(f"Step 0 has no weights: {self._what_ran()}")
        n_before = len(self.trace.steps)
        early: dict[str, np.ndarray] = {}
        rows: dict[str, np.ndarray] = {}
        for key, parts in self._pending.items():
            site = self._site(key, parts, by_step=True)
            if site.query == "target":
                rows[site.name] = parts[-1][:, -1:]  # where a prefix was computed again, its last row chose the token
            elif not n_before or not site.n_queries:
                early[site.name] = np.concatenate(parts, axis=1)
        self._clear()
        if early:
            self.trace.append(early, tolerance=self._tolerance)
        self.trace.append(rows, token=token, candidates=candidates, tolerance=self._tolerance)

    def finish(self) -> None:
        """Give what is left to the trace, and close it."""
        if self.trace.steps and self._pending:
            count = max(len(parts) for parts in self._pending.values())
            warnings.warn(
                f"Attention ran {count} more time{'s' * (count > 1)} after the last aw.step(token); "
                "those rows chose no token and were left out of the trace.",
                stacklevel=4,
            )
        elif self._pending:
            for key, parts in self._pending.items():
                site = self._site(key, parts, by_step=False)
                self.trace.append({site.name: _joined(parts)}, tolerance=self._tolerance)
        self._clear()
        if not self.trace.sites:
            raise CaptureError(self._what_ran())
        self.trace.finish()

    def _key(self, call: Call, rows: np.ndarray) -> str:
        """Tell calls of one module apart: single rows follow each other in time, whole matrices are layers."""
        if rows.shape[1] == 1 and not self.trace.steps:
            return call.module
        ordinal = self._ordinals[call.module]
        self._ordinals[call.module] += 1
        return call.module if ordinal == 0 else f"{call.module}#{ordinal + 1}"

    def _clear(self) -> None:
        self._pending.clear()
        self._ordinals.clear()

    def _site(self, key: str, parts: list[np.ndarray], *, by_step: bool) -> Site:
        if key not in self._sites:
            kind = self._kind(key, parts, by_step=by_step)
            tokens = self.trace.tokens
            alone = kind != "cross" and not by_step and not tokens["target"]
            strips: dict[Kind, tuple[str, str]] = {
                "encoder": ("source", "source"),
                "decoder": ("source", "source") if alone else ("target", "target"),
                "cross": ("target", "source"),
            }
            layer = sum(site.kind == kind for site in self._sites.values())
            site = Site(self._name(key), kind, layer, parts[0].shape[0], *strips[kind])
            self.trace.add_site(site)
            self._sites[key] = site
        return self._sites[key]

    def _kind(self, path: str, parts: list[np.ndarray], *, by_step: bool) -> Kind:
        """Tell what kind of attention it is from the name of the module, the strips and the shape."""
        n_queries = sum(part.shape[1] for part in parts)
        n_keys = parts[-1].shape[2]
        n_source = len(self.trace.tokens["source"])
        n_target = len(self.trace.tokens["target"])
        if _CROSS.search(path):
            return "cross"
        square = n_queries == n_keys
        if not by_step:
            if not square or (n_target and (n_queries, n_keys) == (n_target, n_source) and not _ENCODER.search(path)):
                return "cross"
            ahead = any(np.triu(part, 1).any() for part in parts if part.shape[1] > 1)
            return "encoder" if _ENCODER.search(path) or (ahead and not _DECODER.search(path)) else "decoder"
        if parts[-1].shape[1] == 1:
            return "cross" if n_keys == n_source or not n_source else "decoder"
        if parts[-1].shape[1] == n_source == n_keys and not _DECODER.search(path):
            return "encoder"
        return "decoder" if square else "cross"

    def _name(self, key: str) -> str:
        return key or type(self._model).__name__

    def _what_ran(self) -> str:
        """Say why there may be no attention, naming the modules that were looked at."""
        name = type(self._model).__name__
        if self.modules.ran_elsewhere:
            return f"{name} ran in another thread than the one that records. Open aw.record in the thread that runs it."
        ran = [f"{path or 'the model'} ({kind})" for path, kind in self.modules.ran.items()]
        if not ran:
            return (
                f"no module of {name} ran while recording. Call the model, or the method that decodes, inside "
                "`with aw.record(model)`."
            )
        more = f" and {len(ran) - _LISTED} more" if len(ran) > _LISTED else ""
        return (
            f"no attention was found in {name}. These modules ran: {', '.join(ran[:_LISTED])}{more}. "
            "A softmax whose result flows into a product counts; for anything else call aw.mark(weights) where the "
            "weights are."
        )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Put rows under each other; earlier rows may have seen fewer keys."""
    n_keys = max(part.shape[2] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, 0), (0, n_keys - part.shape[2]))) for part in parts], axis=1)
