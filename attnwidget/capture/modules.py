"""Which module of a model runs now, and which ran at all: looking on, and leaving no trace."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NamedTuple

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from attnwidget.capture.inventory import Inventory
from attnwidget.capture.proof import Inputs, Proof, inputs_of
from attnwidget.capture.report import COMPILED, nothing_found, silent, stateful_modules, weighs_aside, without_attention
from attnwidget.capture.tree import shape_of
from attnwidget.capture.unstopped import Unstopped

# Modules that only carry a function; what happens in them belongs to the module that called them.
_CARRIERS = (torch.nn.Softmax, torch.nn.Softmax2d, torch.nn.LogSoftmax, torch.nn.Dropout, torch.nn.Identity)
# It leaves its fast path, and the bits of it, where it or a module in it has a hook.
_UNHOOKED = torch.nn.TransformerEncoderLayer
# A frame of one of these says that its first argument, a module, is running. Two hooks on each module would tell the
# same at several times the cost, and would not tell of modules of other models.
CALLS = {torch.nn.Module._call_impl.__code__, torch.nn.Module._wrapped_call_impl.__code__}

_ROUTER = re.compile(r"router|gating|moe|(^|[._])(gate|experts?)($|[._\d])", re.IGNORECASE)
_ATTENTION = re.compile(r"att(entio)?n", re.IGNORECASE)


class Owner(NamedTuple):
    """The module that makes a call, its parent, and its path; "" for the model itself."""

    path: str
    module: torch.nn.Module
    parent: torch.nn.Module | None = None


class RunningModules:
    """The modules of one model, as they run in one thread.

    Args:
        inventory: all modules of the model to watch.
        unstopped: in what hooks run.
    """

    def __init__(self, inventory: Inventory, unstopped: Unstopped) -> None:
        self._unstopped = unstopped
        self.model, self.inventory = inventory.model, inventory
        self._modules = inventory.by_path
        self._paths = {id(module): path for path, module in self._modules.items()}
        self._thread = threading.get_ident()
        self._handles: dict[int, torch.utils.hooks.RemovableHandle] = {}
        self.ran: dict[str, str] = {}  # path -> class, of the modules that ran
        self.shapes: dict[str, tuple[int, ...]] = {}  # path -> what they read first
        self.proof: Proof | None = None  # of an earlier recording, where this one looks less closely
        self.inputs: Inputs | None = None  # what the model itself was called with first
        self.gave: dict[str, str] = {}  # path of one that attended -> of the one that was called last before
        self.compiled = False  # whether compiled code was asked for, in whose place its Python code runs
        self.n_forwards = 0  # of the model itself
        self.ran_elsewhere = False  # in another thread, where a capture sees nothing
        self.left_out: dict[str, str] = {}  # path -> class, of what weighs something and is called no attention
        self.others: set[str] = set()  # classes of other models whose attention was left out
        self.on_forward: Callable[[], None] = lambda: None  # called before each pass of the model itself

    def __deepcopy__(self, _: object) -> RunningModules:
        return self  # a copy of the model, made meanwhile, copies its hooks too

    @property
    def known(self) -> Mapping[str, str]:
        """Path -> class, of the modules that ran, now or in the recording that this one relies on."""
        return self.proof.ran if self.proof else self.ran

    @property
    def alike(self) -> Mapping[str, str]:
        """Path -> that of the module which was looked at in its place."""
        return self.proof.alike if self.proof else {}

    def found(self, path: str) -> None:
        """Note that attention of a module was found."""
        if path not in self.gave:
            known = self.proof.gave.get(path) if self.proof else None
            self.gave[path] = next(reversed(self.ran), path) if known is None else known

    def owner(self, module: torch.nn.Module | None = None) -> Owner | None:
        """Return the innermost running module that is more than a function; None if only another model runs.

        Args:
            module: the one that runs, where that is known; it need not be looked for then.
        """
        path = self._paths.get(id(module))
        if module is not None and path is not None:
            return self._owner(path, module)
        other = ""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code in CALLS:
                module = frame.f_locals["self"]
                if not isinstance(module, _CARRIERS):
                    path = self._paths.get(id(module))
                    if path is not None:
                        return self._owner(path, module)
                    other = type(module).__name__
            frame = frame.f_back
        if not other:
            return Owner("", self.model)
        self.others.add(other)
        return None

    def path_now(self) -> str:
        """Return the path of the module that runs now; "" where that is the model, or what tells it is broken."""
        with suppress(Exception):
            return (self.owner() or Owner("", self.model)).path
        return ""

    def _owner(self, path: str, module: torch.nn.Module) -> Owner:
        parent = self._modules[path.rpartition(".")[0]] if path else None
        return Owner(path.replace("._orig_mod", ""), module, parent)  # as before torch.compile

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside the block; no hook is left behind.

        Where a proof tells what runs, the model and its direct parts are enough to see whether it is called as then.
        """
        model = self.model
        try:
            if isinstance(model, (_UNHOOKED, torch.jit.ScriptModule)):
                self._handles[id(model)] = register_module_forward_pre_hook(self._note_model)
            else:
                self._handles[id(model)] = model.register_forward_pre_hook(self._note_call, with_kwargs=True)
            self._watch(self._modules.values() if self.proof is None else model.children())
            yield
        finally:
            for handle in self._handles.values():
                handle.remove()

    def _watch(self, modules: Iterable[torch.nn.Module]) -> None:
        for module in modules:
            if id(module) not in self._handles and not isinstance(module, torch.jit.ScriptModule):  # takes no hooks
                self._handles[id(module)] = module.register_forward_pre_hook(self._note)

    def _watch_closely(self) -> None:
        """Watch modules that stand for the others, because the model is called otherwise than was proven."""
        self._watch(self._modules[path] for path in set(self.alike.values()) if path in self._modules)

    def what_ran(self) -> str:
        """Say why there may be no attention, naming the modules that were looked at."""
        name = type(self.model).__name__
        if not self.ran and self.ran_elsewhere:
            return f"{name} ran in another thread than the one that records. Open aw.record in the thread that runs it."
        if self.others:
            others = ", ".join(sorted(self.others))
            return f"attention was found in {others}, which is no part of {name}. Record the model that attends."
        if not self.ran:
            return (
                f"no module of {name} ran while recording. Call the model, or the method that decodes, inside "
                "`with aw.record(model)`."
            )
        return nothing_found(name, self.ran)

    def notes(self) -> list[str]:
        """Say what a recording does not show, and what was run otherwise than without it."""
        ran = self.known
        notes = [silent(ran, self.gave), weighs_aside(self.proof.left_out if self.proof else self.left_out)]
        if stateful_modules(ran):
            layers = [path for path, it in self._modules.items() if isinstance(it, torch.nn.ModuleList)]
            notes += [without_attention(path, ran, self.gave) for path in layers]
        return [COMPILED] * self.compiled + [note for note in notes if note]

    def _note_model(self, module: torch.nn.Module, inputs: object) -> None:
        if module is self.model:
            self._note(module, inputs)

    def _note_call(self, module: torch.nn.Module, inputs: tuple[object, ...], named: dict[str, object]) -> None:
        """Note that the model itself was called."""
        with self._unstopped:
            if not self.n_forwards and module is self.model:
                self.inputs = inputs_of(inputs, named)
                if self.proof is not None and self.inputs is not None and self.inputs == self.proof.inputs:
                    self.shapes = dict(self.proof.shapes)
                elif self.proof is not None:
                    self._watch_closely()
            by_name = [it for it in named.values() if isinstance(it, torch.Tensor) and not it.is_nested and it.ndim]
            by_size = tuple(sorted(by_name, key=len, reverse=True))  # examples may be of several kinds
            self._note_that_ran(module, inputs or by_size)

    def _note(self, module: torch.nn.Module, inputs: object) -> None:
        with self._unstopped:
            self._note_that_ran(module, inputs)

    def _note_that_ran(self, module: torch.nn.Module, inputs: object) -> None:
        """Note that a module ran. Once is enough to know, so that only the model itself is watched further."""
        if module is self.model:
            self.n_forwards += 1
            self.on_forward()
        elif self._paths.get(id(module)) is None:  # a copy
            hooks = module._forward_pre_hooks
            for key in [key for key, hook in hooks.items() if hook in (self._note, self._note_call)]:
                del hooks[key]
                module._forward_pre_hooks_with_kwargs.pop(key, None)
            return
        else:
            self._handles[id(module)].remove()
            if self.proof is not None and not self.n_forwards:
                self._watch_closely()
        if isinstance(module, _UNHOOKED):
            for inner in module.modules():
                if inner is not self.model and id(inner) in self._handles:
                    self._handles[id(inner)].remove()
        if threading.get_ident() != self._thread:
            self.ran_elsewhere = True
        else:
            path = self._paths[id(module)].replace("_orig_mod.", "")
            if path not in self.ran:
                self.ran[path] = type(module).__name__
                self.shapes[path] = shape_of(inputs)
            self.compiled = self.compiled or _is_compiled()


def _is_compiled() -> bool:
    """Tell whether code that torch.compile was given runs now."""
    if "torch._dynamo.eval_frame" not in sys.modules:
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        is_wrapper = frame.f_globals.get("__name__") == "torch._dynamo.eval_frame"
        if is_wrapper and "callback" in frame.f_code.co_freevars:  # the one that keeps code from it has none
            return True
        frame = frame.f_back
    return False


def is_aside(owner: Owner) -> bool:
    """Tell whether a module is of Transformers, where attention is called so, and is called otherwise."""
    if not type(owner.module).__module__.startswith("transformers."):
        return False
    kinds = [type(it).__name__ for it in (owner.module, owner.parent) if it is not None]
    return not _ATTENTION.search(" ".join(kinds))


def is_router(owner: Owner) -> bool:
    """Tell whether a module weighs experts by a softmax, which is routing and not attention."""
    kind = type(owner.module).__name__
    if _ATTENTION.search(kind) or _ATTENTION.search(owner.path.rpartition(".")[2]):
        return False
    return hasattr(owner.module, "experts") or bool(_ROUTER.search(owner.path) or _ROUTER.search(kind))
