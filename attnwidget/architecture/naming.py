"""What blocks are called: the names that modules have in code, as far as they say something."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnwidget.architecture.data import Module
from attnwidget.architecture.units import is_trivial

_EMPTY = re.compile(r"layers?|blocks?|block_?list|h|stack|module|model|net|network|transformer|resblocks|\d+|")
_FEEDS = re.compile(r"(?:.*(?:mlp|layer|_))?(?:mlp|ffn?|feed_?forward)", re.IGNORECASE)
_RANKS = ("GRU|LSTM|RNN", "Conv", "Linear", "Embedding")  # what a group is named after, the first that it holds

MOST_NAME = 22  # characters of two names, beyond which one of them stands alone


def words(name: str) -> str:
    """Return a name from code as words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("_", " ").strip().lower()


def layer_name(path: str) -> str:
    """Return what layers are called by what they stand in; empty where that says nothing."""
    told = [part for part in path.split(".") if not _EMPTY.fullmatch(part)]
    return words(told[-1]) if told else ""


def name_of(modules: Sequence[Module], depth: int = 0) -> str:
    """Return what a group of modules is called.

    Args:
        modules: in the order in which they run.
        depth: of the network that they are parts of.
    """
    parents = {module.path.rpartition(".")[0] for module in modules}
    parent = parents.pop() if len(parents) == 1 else ""
    if len(modules) > 1 and len(parent.split(".")) > depth and parent and not parent.rpartition(".")[2].isdigit():
        own = layer_name(parent)
        if own and _rank(modules[0]) is not None and any(_rank(module) == 0 for module in modules):
            return own
    heavy = _heavy(modules)
    if len(heavy) == 1 and any(map(_FEEDS.fullmatch, (heavy[0].name, heavy[0].class_name))):
        return "feed-forward"
    names = list(dict.fromkeys(layer_name(module.name) or words(module.class_name) for module in heavy))
    if len(names) == 1 or len(f"{names[0]}, {names[1]}") > MOST_NAME:
        return names[0]
    return f"{names[0]}, {names[1]}" if len(names) == 2 else f"{names[0]} … {names[-1]}"


def inner_name(modules: Sequence[Module]) -> str:
    """Return what stands beside the attention of a layer."""
    heavy = [module for module in modules if not is_trivial(module)]
    if len(heavy) > 1 and sum(_n_linear(module) for module in heavy) == len(heavy) == 2:
        return "feed-forward"
    return name_of(modules)


def detail_of(modules: Sequence[Module]) -> str:
    """Return the sizes of the module that a group is named after."""
    heavy = _heavy(modules)[0]
    inner = [child for child in heavy.children if _rank(child) == 0]
    n_convolutions = _n_convolutions(heavy)
    if heavy.children and n_convolutions > 1 and not inner:
        return f"{heavy.class_name}, {n_convolutions} convolutions"
    return heavy.detail or (inner[0].detail if inner else "") or heavy.class_name


def _heavy(modules: Sequence[Module]) -> list[Module]:
    best = min((rank for module in modules if (rank := _rank(module)) is not None), default=None)
    found = [module for module in modules if _rank(module) == best and not is_trivial(module)]
    ran = [module for module in found if _ran(module)]
    return ran or found or [module for module in modules if not is_trivial(module)] or list(modules)


def _ran(module: Module) -> bool:
    return module.order >= 0 or any(map(_ran, module.children))


def _rank(module: Module) -> int | None:
    """Return how much a module tells of a group that it is in, 0 the most."""
    if is_trivial(module):
        return None
    for rank, classes in enumerate(_RANKS):
        if re.search(classes, module.class_name):
            return rank if rank < 2 else rank + 1
    if any(re.search(_RANKS[0], child.class_name) for child in module.children):
        return 0
    return 1 if _n_convolutions(module) else 2


def _n_convolutions(module: Module) -> int:
    return sum(map(_n_convolutions, module.children)) + bool(re.search(r"Conv(?:Transpose)?[123]d$", module.class_name))


def _n_linear(module: Module) -> int:
    leaves = [module] if not module.children else [leaf for leaf in module.children if not is_trivial(leaf)]
    return int(len(leaves) == 1 and bool(re.search(r"Linear|Conv1[dD]", leaves[0].class_name)))
