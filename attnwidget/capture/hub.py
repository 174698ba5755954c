"""The hub: one torch-function mode that gives each torch function to the adapter that asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from attnwidget.capture.adapter import Adapter
from attnwidget.capture.call import Call
from attnwidget.capture.fast_path import kept_open
from attnwidget.capture.modules import Owner
from attnwidget.capture.recorder import Recorder


class Hub(TorchFunctionMode):
    """Stands between adapters and recorder; every torch function of this thread passes it while it is entered.

    Args:
        recorder: where calls go.
        adapters: the adapters in order.
    """

    def __init__(self, recorder: Recorder, adapters: Sequence[type[Adapter]]) -> None:
        super().__init__()
        self._recorder, self._n_muted = recorder, 0
        self._collected: list[list[Call]] = []
        self._adapters = [adapter(self) for adapter in adapters]
        self._runs = {name: adapter.run for adapter in reversed(self._adapters) for name in adapter.functions}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run a torch function, through an adapter if one asked for it."""
        run = self._runs.get(getattr(func, "__name__", ""))
        if run is None or self._n_muted:
            return func(*args, **kwargs) if kwargs else func(*args)
        return run(func, args, kwargs or {})

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have every adapter open inside the block."""
        with ExitStack() as stack:
            for adapter in self._adapters:
                stack.enter_context(adapter.watching())
            stack.enter_context(kept_open(Hub))
            stack.enter_context(self)
            yield

    def owner(self) -> Owner | None:
        """Return the module that runs now, or None if it belongs to another model than the recorded one."""
        return self._recorder.modules.owner()

    def take(self, call: Call) -> None:
        """Keep a call; what runs again for the backward pass (gradient checkpointing) was seen before."""
        if torch._C._current_graph_task_id() == -1:
            (self._collected[-1].append if self._collected else self._recorder.take)(call)

    def withdraw(self, call: Call) -> None:
        """Drop a call that was taken."""
        self._recorder.withdraw(call)

    def claim(self, tensor: torch.Tensor, *, by: Adapter) -> None:
        """Let all adapters but one forget a tensor."""
        for adapter in self._adapters:
            if adapter is not by:
                adapter.forget(tensor)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Run what is in the block unseen by adapters."""
        self._n_muted += 1
        try:
            yield
        finally:
            self._n_muted -= 1

    @contextmanager
    def collected(self) -> Iterator[list[Call]]:
        """Give what adapters take in the block to this list instead."""
        self._collected.append([])
        try:
            yield self._collected[-1]
        finally:
            self._collected.pop()
