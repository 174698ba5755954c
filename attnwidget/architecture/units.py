"""What of a network becomes a block: plain modules, towers of layers that are alike, and places of attention."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from attnwidget.architecture.data import Module
from attnwidget.outline import Site

_TRIVIAL = re.compile(
    r"norm|drop|identity|relu|gelu|silu|elu$|tanh|sigmoid|activation|softmax|pool|flatten|rotary|upsample|scale",
    re.IGNORECASE,
)
_PROJECTS = re.compile("Linear|Conv1D")


@dataclass(eq=False)
class Unit:
    """Something that becomes a block.

    Args:
        kind: a plain module, a tower, or an attention.
        members: the modules that it stands for: layers that are alike, or one. Empty where nobody knows any.
        sites: those inside it, in their order.
        parts: of a tower, what one layer is made of; of an attention, what stands beside it and matters little.
        gates: whether it multiplies what stands beside it.
    """

    kind: Literal["module", "tower", "attention"]
    members: Sequence[Module] = ()
    sites: Sequence[Site] = ()
    parts: list[Unit] = field(default_factory=list)
    gates: bool = False

    @property
    def path(self) -> str:
        """Of its first module."""
        return self.members[0].path if self.members else ""


def path_of(site: Site) -> str:
    """Return the path of the module in which a site is."""
    return site.name.partition("#")[0]


def lane_of(strip: str) -> str:
    """Return the row of a strip: parts of the source at other resolutions stand in the row of the source."""
    return "target" if strip == "context" else re.sub(r"_\d+$", "", strip)


def is_trivial(module: Module) -> bool:
    """Tell a norm, an activation and the like, which need no block of their own."""
    if module.children:
        return all(map(is_trivial, module.children))
    return bool(_TRIVIAL.search(module.class_name))


def depth_of(path: str) -> int:
    """Return how many parts a path has."""
    return len(path.split(".")) if path else 0


def attending(before: Sequence[Unit], module: Module, sites: Sequence[Site]) -> list[Unit]:
    """Return what ran before a module attended, and its attention; to that belong the projections right before it."""
    n = len(before)
    while n and all(_PROJECTS.search(it.class_name) and not it.children for it in before[n - 1].members):
        n -= 1
    return [*before[:n], Unit("attention", [module], sites, list(before[n:]))]


def merged(units: list[Unit]) -> list[Unit]:
    """Put plain neighbours together; what is trivial goes to what stands before it, or else behind."""
    found: list[Unit] = []
    waiting: list[Unit] = []
    for unit in units:
        small = unit.kind == "module" and all(map(is_trivial, unit.members))
        if small and not found:
            waiting.append(unit)
        elif small:
            found[-1].parts.append(unit)
        elif unit.kind == "module" and found and found[-1].kind == "module":
            found[-1].members = [*found[-1].members, *unit.members]
        else:
            unit.parts = [*waiting, *unit.parts]
            waiting = []
            found.append(unit)
    return found or waiting


def is_gate(site: Site) -> bool:
    return any(flag.kind == "mask" for flag in site.flags)
