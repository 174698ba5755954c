"""Which module of a model runs now: hooks that watch, and leave no trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Modules that only carry a function; what happens in them belongs to the module that called them.
_CARRIERS = (torch.nn.Softmax, torch.nn.LogSoftmax, torch.nn.Dropout, torch.nn.Identity)


class RunningModules:
    """The stack of modules of one model that run now in one thread.

    Args:
        model: the model to watch.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._thread = threading.get_ident()
        self._stack: list[torch.nn.Module] = []
        self.ran: dict[str, str] = {}  # path -> class, of the modules that ran
        self.ran_elsewhere = False  # in another thread, where a capture sees nothing

    def owner(self) -> tuple[str, torch.nn.Module | None]:
        """Return the path of the innermost running module that is more than a function, and the module."""
        for module in reversed(self._stack):
            if not isinstance(module, _CARRIERS):
                return self._paths.get(id(module), ""), module
        return "", self._model

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside the block; no hook is left behind."""
        handles = []
        try:
            for module in self._model.modules():
                handles.append(module.register_forward_pre_hook(self._enter, prepend=True))
                handles.append(module.register_forward_hook(self._leave, always_call=True))
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._stack.clear()

    def _enter(self, module: torch.nn.Module, _: object) -> None:
        if threading.get_ident() != self._thread:
            self.ran_elsewhere = True
            return
        self.ran.setdefault(self._paths.get(id(module), ""), type(module).__name__)
        self._stack.append(module)

    def _leave(self, module: torch.nn.Module, _: object, __: object) -> None:
        if threading.get_ident() == self._thread and module in self._stack:
            while self._stack.pop() is not module:
                pass
