"""All modules of a model, found once for everybody who asks."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class Inventory:
    """The modules of a model, by path and by class.

    Args:
        model: whose modules they are.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.by_path = named_modules(model)
        self.kinds: dict[str, type[torch.nn.Module]] = {path: type(it) for path, it in self.by_path.items()}
        self.by_class: dict[type[torch.nn.Module], list[torch.nn.Module]] = {}
        for module in self.by_path.values():
            self.by_class.setdefault(type(module), []).append(module)

    def having(self, name: str) -> list[torch.nn.Module]:
        """Return the modules that have an attribute which is no parameter, buffer or module.

        A module takes long to say that it has none, so that those are not asked whose class and variables say it.
        """
        found = []
        for kind, modules in self.by_class.items():
            may = hasattr(kind, name) or kind.__getattr__ is not torch.nn.Module.__getattr__
            found += [it for it in modules if name in vars(it) or (may and hasattr(it, name))]
        return found

    @property
    def signature(self) -> tuple[int, object]:
        """What changes when the model gets other modules, other code in them, or another kind of attention."""
        kinds = tuple((kind, getattr(kind, "forward", None)) for kind in self.by_class)
        own = tuple((path, id(vars(it)["forward"])) for path, it in self.by_path.items() if "forward" in vars(it))
        code = hash((tuple(self.kinds), tuple(self.kinds.values()), kinds, own))
        return code, getattr(getattr(self.model, "config", None), "_attn_implementation", None)


def named_modules(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Return what `model.named_modules()` yields, in a fifth of its time."""
    found, seen = {"": model}, {model}

    def add(prefix: str, modules: Mapping[str, torch.nn.Module | None]) -> None:
        for name, module in modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                found[prefix + name] = module
                add(f"{prefix}{name}.", module._modules)

    add("", model._modules)
    return found
