"""The recorder: calls of adapters become rows of a trace, one decoder step at a time or all at the end."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch

from attnwidget.capture.attention import has_numbers
from attnwidget.capture.call import Call
from attnwidget.capture.edit import Edit
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.inventory import Inventory
from attnwidget.capture.joining import by_site, joined, numbered, place_of_next, shared_by_layers
from attnwidget.capture.kinds import kind_of
from attnwidget.capture.modules import RunningModules
from attnwidget.capture.passes import Passes
from attnwidget.capture.pieces import Piece, Rows
from attnwidget.capture.report import NO_NUMBERS, in_parts, not_read, warn, which_example
from attnwidget.capture.sharding import Sharding
from attnwidget.capture.sites import Sites
from attnwidget.capture.sizes import Sizer, StoreChoice
from attnwidget.capture.tree import tell_modules
from attnwidget.capture.unstopped import Unstopped
from attnwidget.capture.whole import Whole
from attnwidget.outline import Kind
from attnwidget.stores import Factors
from attnwidget.trace import Trace


class Recorder:
    """Takes calls and appends them to a trace.

    Args:
        model: the model that is recorded.
        trace: where rows go.
        example: which example of a batch to keep; None where one is expected.
        store: how weights are kept, "auto" by their size.
    """

    def __init__(self, model: torch.nn.Module, trace: Trace, example: int | None, store: StoreChoice = "auto") -> None:
        self.trace = trace
        inventory = Inventory(model)
        self.unstopped = Unstopped(self._fail)
        self.modules = RunningModules(inventory, self.unstopped)
        self.passes = Passes(inventory, self.unstopped)
        n_layers = getattr(getattr(model, "config", None), "num_hidden_layers", 1) or 1
        self.sites = Sites(trace, Sizer(store, inventory.kinds, n_layers), Sharding(model))
        self._model, self._example = model, example
        self._pending: list[Piece] = []
        self._counts: defaultdict[tuple[str, int], int] = defaultdict(int)  # calls by module and pass of the model
        self._n_rows: defaultdict[str, int] = defaultdict(int)  # single rows by module, since the recording began
        self.notes: dict[str, None] = {}  # in order
        self.failure: CaptureError | None = None  # what ended the recording while the model runs on
        self._numberless = ""  # the last of the notes on what has no numbers
        self._n_steps = 0
        self.mixed: set[str] = set()  # modules of which single rows of the first step were of several sites
        self._order: list[str] = []  # modules that attended since the last step; "" where a recurrent cell ran
        self._n_target = trace.n_tokens["target"]  # 0 where the steps will tell

    def terms(self, edits: Sequence[Edit]) -> str:
        """Say what ranks that hold the model together must agree on."""
        name, store = type(self._model).__name__, self.sites.sizer.choice
        return f"{name} (example={self._example}, store={store!r}, edits=[{', '.join(map(str, edits))}])"

    def take(self, call: Call) -> None:
        """Keep a call until the step that it belongs to is known."""
        name, call = self.name_of(call), self.passes.placed(call)
        if not has_numbers(call.attention):
            self._numberless = NO_NUMBERS.format(name)
            self.notes[self._numberless] = None
            return
        call = self.sites.sharding.local(call, name)
        example = self.example_of(call, name)
        self.sites.note(call, name)
        if call.note:
            self.notes[call.note] = None
        self._counts[name, self.turn] += 1
        self._n_rows[name] += call.attention.shape[2] == 1
        self.keep(call, name, example)

    def _fail(self, error: Exception) -> None:
        """Take nothing any more, because of what went wrong while looking."""
        if self.failure is None:
            self.failure = not_read(self._model, self.modules.path_now(), error)
        self._pending.clear()

    def check(self) -> None:
        """Raise what ended the recording while the model ran."""
        if self.failure is not None:
            raise self.failure

    @property
    def turn(self) -> int:
        """Which pass of the model runs; where only a part of it is called, as by a wrapper, of that part."""
        return self.modules.n_forwards or self.passes.n_begun

    def keep(self, call: Call, name: str, example: int) -> None:
        """Keep what concerns the example."""
        self._order.append(name)
        factors = self.sites.sizer.choice == "qk"
        self._pending.append(Piece.of(call, name, self.turn, example, factors=factors))

    def name_of(self, call: Call) -> str:
        """Return the name of the module that made a call."""
        return call.module or type(self._model).__name__

    def example_of(self, call: Call, name: str) -> int:
        """Return which example of the batch to keep."""
        n_examples = call.attention.shape[0]
        parts = in_parts(name, n_examples, self.modules.shapes.get("", ()))
        if self._example is None and n_examples != 1:
            raise CaptureError(which_example(name, n_examples, parts))
        if parts:
            self.notes[parts] = None
        index = self._example or 0
        if not -n_examples <= index < n_examples:
            raise CaptureError(f"example {index} was asked for, {name} has a batch of {n_examples}.")
        return index % n_examples

    def withdraw(self, call: Call) -> None:
        """Drop a call that no step has used yet."""
        self._pending = [piece for piece in self._pending if piece.key is not call.key]
        self.passes.withdraw(call.key)

    def placed(self, call: Call) -> Call:
        """Return a call that has not been taken yet with the name of its site and the position of its rows."""
        name, call = self.name_of(call), self.passes.placed(call)
        site, first = self.site_of(name, call), call.first_query
        if first is None:
            first = place_of_next([it for it in self._pending if it.name == name], site, call)
            if call.attention.shape[2] == 1:  # those of a decoder of Transformers wait in its passes
                first = self._n_steps or first or self._n_rows[name]
        return replace(call, module=site, first_query=first)

    def site_of(self, name: str, call: Call) -> str:
        """Return the name of the site of a call that has not been taken yet."""
        before = [piece for piece in self._pending if piece.name == name and piece.forward == self.turn]
        is_alike = all(piece.attention.shape[1] == call.attention.shape[1] for piece in before)
        is_single = call.attention.shape[2] == 1 and not self._n_steps
        if is_single and is_alike and name not in shared_by_layers(self._pending):
            return name  # without steps, single rows of a module follow each other
        return numbered(name, len(before))

    def step(self, token: str, candidates: Iterable[tuple[str, float]]) -> None:
        """Give the rows since the last step to a token."""
        self.check()
        index = self._n_steps
        if not self._pending and not self.sites.names:
            raise CaptureError(f"Step 0 has no weights: {self.what_ran()}")
        if index < self._n_target and token != self.trace.tokens["target"][index]:
            raise ValueError(
                f"step {index}: its token is not token {index} of strip 'target'. "
                "Leave target out of aw.record where the model chooses its own tokens."
            )
        rows: dict[str, np.ndarray | Factors] = {}
        self.sites.begin_step()
        if not index:
            several = Counter(piece.name for piece in self._pending if piece.n_queries == 1)
            self.mixed = {name for name, count in several.items() if count > 1}
        for name, parts in by_site(self._pending, by_step=True).items():
            last = Rows([(parts[-1], parts[-1].n_queries)])
            if name not in self.sites.names:
                self.sites.add(name, self._kind(name, last, step=index), last, decoding=True)
                if self.sites.names[name].query != "target":
                    self.sites.append_rows({name: last})
            if self.sites.names[name].query == "target":
                rows[name] = self.sites.of_step(name, last.last())
        self._pending.clear()
        if index == 1:  # before the first step, the encoder ran too
            self._tell_asks()
            tell_modules(self.modules, self.trace)
        self._order.clear()
        self.sites.append(rows, token=token, candidates=candidates)
        self._n_steps += 1

    def recurred(self) -> None:
        """Note that a recurrent cell of the model ran."""
        self._order.append("")

    def _tell_asks(self) -> None:
        """Say of each site whether it was asked before or after the decoder had read the token before."""
        for name, site in self.sites.names.items():
            module = name.partition("#")[0]
            if site.query == "target" and module in self._order and "" in self._order:
                earlier = self._order[: self._order.index(module)]
                self.trace.tell_asks(name, "after" if "" in earlier else "before")

    def finish(self) -> None:
        """Give what is left to the trace, and close it."""
        whole = Whole({}, 0, 0)
        if self._n_steps and self._pending:
            count = max(Counter(piece.name for piece in self._pending).values())
            self.notes[
                f"Attention ran {count} more time{'s' * (count > 1)} after the last aw.step(token); "
                "those rows chose no token and were left out of the trace."
            ] = None
        else:
            whole = self._whole()
        self._pending.clear()
        if whole.rows and whole.can_wait(self.sites, self.trace):
            tell_modules(self.modules, self.trace)
            whole.add_later(self.sites, self.trace)
        else:
            whole.add_to(self.sites)
            if not self.sites.names:
                raise CaptureError(self.what_ran())
            tell_modules(self.modules, self.trace)
            self.trace.finish()
        self.tell()

    def stop(self) -> None:
        """Close the trace with the steps that were finished, if it is not complete."""
        with contextlib.suppress(OSError):  # which was warned of; what came first is what is raised
            if self.trace.status != "complete":
                self.trace.finish("stopped")

    def tell(self) -> None:
        """Warn of what a person must know about all weights."""
        warn([*self.notes, self.sites.sizer.note, *self.modules.notes()])

    def what_ran(self) -> str:
        """Say why there may be no attention, naming the modules that were looked at."""
        return self._numberless or self.modules.what_ran()

    def _whole(self) -> Whole:
        """Return what is left, as rows that came in no steps."""
        found = by_site(self._pending, by_step=False, n_target=self._n_target)
        rows = {name: joined(parts, self._on_other_run) for name, parts in found.items()}
        whole = Whole(rows, self.trace.n_tokens["source"], self._n_target)
        in_parts = {name for name, it in rows.items() if len(it.parts) > 1}
        if in_parts and not self._n_target and any(whole.kinds()[name] == "cross" for name in in_parts):
            self.notes[
                "Rows came one by one and aw.step(token) was never called, so output tokens are numbered. Call it "
                "once a token in the decode loop, as in model.run(inputs, on_token=aw.step), or pass target=."
            ] = None
        return whole

    def _on_other_run(self) -> None:
        self.notes[
            f"{type(self._model).__name__} ran more than once without aw.step(token), and a trace holds "
            "one run: the last one. Open one aw.record a run to see them all."
        ] = None

    def _kind(self, name: str, rows: Rows, *, step: int | None) -> Kind:
        return kind_of(name, rows, n_source=self.trace.n_tokens["source"], n_target=self._n_target, step=step)
