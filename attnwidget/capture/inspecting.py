"""inspect: which modules of a model attend, by which route, and what cannot be shown and why."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from attnwidget.capture.call import Call
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.kinds import kind_of
from attnwidget.capture.pieces import Piece, Rows
from attnwidget.capture.recorder import Recorder
from attnwidget.capture.recording import opened, unwrapped
from attnwidget.capture.report import silent_modules, stateful_modules
from attnwidget.outline import printable
from attnwidget.trace import Trace

_COLUMNS = ("module", "class", "kind", "route", "heads", "queries x keys", "remarks")
_MARKUP = re.compile(r"[\\`*<>&|\[\]$~]|(?<!\w)_|_(?!\w)|(?<=_)_")
_SILENT = "ran, but its weights cannot be read: call aw.mark(weights) in it"
_STATEFUL = "keeps a state from token to token: it has no attention matrix"


@dataclass(frozen=True)
class Module:
    """What was found of one module.

    Args:
        path: where it is in the model; "" for the model itself. "#2" and so on count its calls in one pass.
        type: its class.
        kind: "encoder", "decoder" or "cross"; "" where it gave nothing.
        route: the adapter that sees it; "" where none does.
        n_heads: number of heads, 0 where that is not known.
        shape: queries and keys of the pass that was looked at.
        remark: what a recording cannot show of it, and why.
    """

    path: str
    type: str
    kind: str = ""
    route: str = ""
    n_heads: int = 0
    shape: tuple[int, int] = (0, 0)
    remark: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row of the table."""
        heads = str(self.n_heads or "")
        size = " x ".join(map(str, self.shape)) if any(self.shape) else ""
        return (self.path or "(the model)", self.type, self.kind, self.route or "none", heads, size, self.remark)


@dataclass(frozen=True)
class Report:
    """What `aw.inspect` found; print it.

    Args:
        model: class of the model.
        modules: each module that attends, or might.
        notes: what concerns all of it.
    """

    model: str
    modules: tuple[Module, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [_COLUMNS, *(module.cells for module in self.modules)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self._heading, *(lines if self.modules else ()), *self.notes])

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        cells = [tuple(map(_plain, module.cells)) for module in self.modules]
        table = "\n".join(f"| {' | '.join(row)} |" for row in (_COLUMNS, ("---",) * len(_COLUMNS), *cells))
        return "\n\n".join([_plain(self._heading), table, *map(_plain, self.notes)])

    @property
    def _heading(self) -> str:
        attend = [bool(module.route) for module in self.modules if module.remark != _STATEFUL]
        return f"{self.model}: {sum(attend)} of {len(attend)} attention modules can be recorded."


def _plain(text: str) -> str:
    """Return Markdown that shows a text as it is: names of modules and classes may hold what Markdown or HTML reads."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", printable(text))


def inspect(model: torch.nn.Module, *inputs: object, **kwargs: object) -> Report:
    """Tell which modules of a model attend, by which route they are recorded, and what cannot be shown and why.

    The model runs once, without gradients and as in evaluation; its mode, buffers, hooks and random numbers are
    afterwards what they were.

    Args:
        model: any torch module.
        *inputs: what the model is called with. A model of Transformers needs none: it knows a short input of its own.
        **kwargs: likewise, by name.

    Returns:
        A report that prints as a table.

    Raises:
        CaptureError: nothing was passed, and the model knows no input of its own.
        TypeError: model is not a torch module.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: {type(model).__name__} came, a torch.nn.Module was expected.")
    given = (inputs, kwargs) if inputs or kwargs else ((), _dummy(model))
    inspector = _Inspector(unwrapped(model))
    with _as_it_was(model), torch.no_grad(), opened(inspector, ()):
        model(*given[0], **given[1])
    return inspector.report()


class _Inspector(Recorder):
    """Takes calls and keeps only what they were."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model, Trace(), None)
        self._found: dict[str, Module] = {}

    def example_of(self, call: Call, name: str) -> int:
        """Return the first example: any will do."""
        return 0

    def keep(self, call: Call, name: str, example: int) -> None:
        """Note what a call was."""
        ordinal = self._counts[name, self.modules.n_forwards]
        site = name if ordinal < 2 else f"{name}#{ordinal}"
        rows = Rows([(Piece.of(call, name, 0, example, factors=True), call.attention.shape[2])])
        n_heads, n_queries = rows.n_heads, rows.n_queries
        kind = kind_of(site, rows, n_source=0, n_target=0, step=None)
        owner = self.modules.inventory.by_path.get(name)
        cls = "" if owner is None else type(owner).__name__
        self._found[site] = Module(site, cls, kind, call.route, n_heads, (n_queries, rows.n_keys))

    def finish(self) -> None:
        """Leave the trace empty."""

    def report(self) -> Report:
        """Return what was found, in the order in which modules stand in the model."""
        ran, gave = self.modules.known, self.modules.gave
        found = list(self._found.values())
        found += [Module(path, kind, remark=_SILENT) for path, kind in silent_modules(ran, gave).items()]
        found += [Module(path, kind, remark=_STATEFUL) for path, kind in stateful_modules(ran).items()]
        places = {path: place for place, path in enumerate(self.modules.inventory.by_path)}
        found.sort(key=lambda it: places.get(it.path.partition("#")[0], 0))
        notes = (*self.notes, *self.modules.notes()) if self._found else (self.what_ran(),)
        return Report(type(self._model).__name__, tuple(found), notes)


def _dummy(model: Any) -> Mapping[str, Any]:  # noqa: ANN401 - perhaps of Transformers
    """Return a short input that a model of Transformers knows of itself."""
    given = getattr(model, "dummy_inputs", None)
    if not isinstance(given, Mapping) or not given:
        raise CaptureError(
            f"{type(model).__name__} must run once to be inspected. Pass what you call it with, as in "
            "aw.inspect(model, x)."
        )
    return given


@contextlib.contextmanager
def _as_it_was(model: torch.nn.Module) -> Iterator[None]:
    """Run the model as in evaluation inside the block, and leave no trace of it."""
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    model.eval()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if not torch.equal(buffer, buffers[name]):
                    buffer.copy_(buffers[name])
