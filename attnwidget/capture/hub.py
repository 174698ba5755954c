"""The hub: one torch-function mode that gives each torch function to the adapter that asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from attnwidget.capture.adapter import Adapter, Place
from attnwidget.capture.arguments import RECURRENT, in_order, reads_one
from attnwidget.capture.attention import Weights
from attnwidget.capture.call import Call
from attnwidget.capture.editing import Editor
from attnwidget.capture.fast_path import kept_open
from attnwidget.capture.inventory import Inventory
from attnwidget.capture.modules import Owner
from attnwidget.capture.proof import Proof, proven
from attnwidget.capture.recorder import Recorder
from attnwidget.capture.unstopped import Called, Unstopped
from attnwidget.capture.windows import as_heads, windows_of

_WHOLE = "hugging_face"  # the adapter that knows by itself when attention runs


class Hub(TorchFunctionMode):
    """Stands between adapters and recorder; every torch function of this thread passes it while it is entered.

    Once a whole pass of the model has shown that all its attention comes by the interface of Transformers, the hub is
    entered only where that interface calls its function, so that the rest of the model runs at its own speed.

    Args:
        recorder: where calls go.
        adapters: the adapters in order.
        editor: what changes weights; None where nothing does.
    """

    def __init__(self, recorder: Recorder, adapters: Sequence[type[Adapter]], editor: Editor | None = None) -> None:
        super().__init__()
        self._recorder, self._editor, self._muting = recorder, editor, _Muting()
        self._collected: list[tuple[list[Call], Place]] = []
        self._adapters = [adapter(self) for adapter in adapters]
        self._routes: set[str] = set()  # of the calls so far
        self._shown: WeakKeyDictionary[Call, Call] = WeakKeyDictionary()  # what was taken in place of a call
        self._entered = False

    @cached_property
    def _runs(self) -> dict[str, Callable[..., object]]:
        """What runs each torch function that an adapter asked for."""
        runs: dict[str, Callable[..., object]] = {}
        for adapter in reversed(self._adapters):
            for name in adapter.functions:
                inner = runs.get(name)
                runs[name] = adapter.run if inner is None or not adapter.shares else _chained(adapter.run, inner)
        return runs

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run a torch function, through an adapter if one asked for it."""
        name = getattr(func, "__name__", "")
        run = self._runs.get(name)
        if name in RECURRENT:
            with self.unstopped:
                if reads_one(name, args) and self.owner() is not None:
                    self._recorder.recurred()
        if run is None or self._muting.depth:
            return func(*args, **kwargs) if kwargs else func(*args)
        if kwargs:
            return self.unstopped.run(_ordered(run), func, args, kwargs)
        return self.unstopped.run(run, func, args, {})

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have every adapter open inside the block."""
        with ExitStack() as stack:
            modules = self._recorder.modules
            signature, proof = modules.inventory.signature, proven.get(modules.model)
            proof = proof if proof is not None and proof.signature == signature else None
            for adapter in self._adapters:
                if adapter.is_concerned if proof is None else adapter.name in proof.concerned:
                    stack.enter_context(adapter.watching())
            if not self.edits:  # what is edited cannot be a kernel's
                stack.enter_context(kept_open(Hub))
            modules.proof = proof
            stack.enter_context(modules.watching())
            stack.callback(self._leave)
            if proof is None:
                self.__enter__()  # type: ignore[no-untyped-call]
                self._entered = True
                modules.on_forward = self._lighten
            yield
            if not self._proves():
                proven.pop(modules.model, None)
            elif proof is not None:
                proven[modules.model] = proof.called_with(modules.inputs, modules.shapes)
            elif signature == modules.inventory.signature:
                concerned = frozenset(it.name for it in self._adapters if it.is_concerned)
                found = modules.ran, modules.gave, modules.inputs, modules.shapes, modules.left_out
                proven[modules.model] = Proof.of(signature, concerned, *found)

    def _proves(self) -> bool:
        modules = self._recorder.modules
        return self._routes == {_WHOLE} and modules.n_forwards > 0 and not modules.compiled

    def _lighten(self) -> None:
        """Leave the mode, before another pass of a model whose first one needed no more than the interface."""
        stack = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        if self._routes == {_WHOLE} and self._entered and stack[-1] is self:
            self._leave()

    def _leave(self) -> None:
        if self._entered:
            self._entered = False
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    @property
    def unstopped(self) -> Unstopped:
        """In what everything is run that looks on."""
        return self._recorder.unstopped

    @property
    def model(self) -> torch.nn.Module:
        """The model that is recorded."""
        return self._recorder.modules.model

    @property
    def inventory(self) -> Inventory:
        """Its modules."""
        return self._recorder.modules.inventory

    def owner(self, module: torch.nn.Module | None = None) -> Owner | None:
        """Return the module that runs now, or None if it belongs to another model than the recorded one."""
        return self._recorder.modules.owner(module)

    def take(self, call: Call) -> None:
        """Keep a call; what runs again for the backward pass (gradient checkpointing) was seen before."""
        if torch._C._current_graph_task_id() != -1 or self._recorder.failure is not None:
            return
        if self._collected:
            self._collected[-1][0].append(call)
        else:
            self._routes.add(call.route)
            owner = self.owner() if call.route == "mark" else None  # a mark may have a name of its own
            self._recorder.modules.found(call.module if owner is None else owner.path)
            with self.muted():
                windows = windows_of(call)
                shown = as_heads(call) if windows is None else windows.in_image(call)
                if shown is not call:
                    self._shown[call] = shown
                self._recorder.take(shown)

    def withdraw(self, call: Call) -> None:
        """Drop a call that was taken."""
        self._recorder.withdraw(self._shown.get(call, call))

    def leave_out(self, owner: Owner) -> None:
        """Say that a module weighs something, which is not taken for attention."""
        self._recorder.modules.left_out[owner.path] = type(owner.module).__name__

    @property
    def edits(self) -> bool:
        """Whether weights may have to be changed before they are used."""
        return self._editor is not None

    @property
    def factors(self) -> bool:
        """Whether queries and keys are asked for, also where weights are at hand."""
        return self._recorder.sites.sizer.choice == "qk"

    def edited(self, call: Call) -> Call | None:
        """Return the call with edited weights; None where no edit is meant for it."""
        if self._editor is None:
            return None
        placed = call
        for _, place in reversed(self._collected):
            placed = place(placed)
        with self.muted():
            windows = windows_of(placed)
            shown = as_heads(placed) if windows is None else windows.in_image(placed)
            weights = self._editor.edited(self._recorder.placed(shown))
            if weights is None:
                return None
            weights = weights if windows is None else windows.in_windows(weights, placed)
            *lead, n_keys = call.attention.shape
            weights = weights.reshape(*lead, -1)
            if weights.shape[-1] < n_keys:  # a sink stands last, which is no key
                weights = torch.cat([weights, call.attention.weights()[..., weights.shape[-1] :]], dim=-1)
            return replace(call, attention=Weights(weights), edited=True)

    def claim(self, tensor: torch.Tensor, *, by: Adapter) -> None:
        """Let all adapters but one forget a tensor."""
        for adapter in self._adapters:
            if adapter is not by:
                adapter.forget(tensor)

    def muted(self) -> AbstractContextManager[None]:
        """Run what is in the block unseen by adapters."""
        return self._muting

    @contextmanager
    def collected(self, place: Place, *, listening: bool = True) -> Iterator[list[Call]]:
        """Give what adapters take in the block to this list instead; they see it even where they see nothing else."""
        own: AbstractContextManager[object] = nullcontext() if self._entered or not listening else self
        self._collected.append(([], place))
        try:
            with own:
                yield self._collected[-1][0]
        finally:
            self._collected.pop()


class _Muting:
    """A block that may be entered inside itself."""

    def __init__(self) -> None:
        self.depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


def _ordered(run: Callable[..., object]) -> Callable[..., object]:
    """Return what runs a torch function with arguments in their places that came by name."""
    return lambda func, args, kwargs: run(func, *in_order(args, kwargs))


def _chained(outer: Callable[..., object], inner: Callable[..., object]) -> Callable[..., object]:
    """Return what runs a torch function by two adapters that asked for it, the later one inside the earlier."""

    def run(func: Called[object], args: Sequence[object], kwargs: dict[str, object]) -> object:
        def through(*some: object, **named: object) -> object:
            return inner(func, some, named)

        through.__name__ = func.__name__
        return outer(through, args, kwargs)

    return run
