"""What of a tree of modules is drawn: towers of layers that are alike, places of attention, and what is around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attnwidget.architecture.data import Module
from attnwidget.architecture.units import Unit, attending, depth_of, is_gate, is_trivial, lane_of, merged, path_of
from attnwidget.outline import Site

_ATTENDS = re.compile(r"att(?:entio)?n|mha", re.IGNORECASE)
MOST_RUNS = 6  # of layers in one list; where they change more often, they are one tower all the same


class Tree:
    """A tree of modules and the sites in it.

    Args:
        root: the network.
        sites: all of them; those in no module of the tree are `lost`.
        apart: names of those that are drawn for themselves, not inside a tower: cross-attention of recurrent decoders.
    """

    def __init__(self, root: Module, sites: Sequence[Site], apart: frozenset[str] = frozenset()) -> None:
        self.modules = {module.path: module for module in _walk(root)}
        own = {root.class_name: ""}  # what a network computes itself has the name of its class
        self.sites = [(own.get(path_of(site), path_of(site)), site) for site in sites]
        self.lost = [site for path, site in self.sites if path not in self.modules]
        self._held: dict[str, list[int]] = {}  # positions of the sites in each module
        for i, (path, _) in enumerate(self.sites):
            for ancestor in _ancestors(path):
                self._held.setdefault(ancestor, []).append(i)
        self.apart, self.root = apart, root
        while len(self.root.children) == 1 and not self._own(self.root):
            self.root = self.root.children[0]
        self._first: dict[str, int] = {}

    @property
    def depth(self) -> int:
        """How many parts the paths of all units have in common."""
        return depth_of(self.root.path)

    def units(self) -> list[Unit]:
        """Return the units in the order in which they run."""
        found = self._units(self.root)
        return [unit for unit in found if unit.members or unit.sites]

    def _units(self, module: Module) -> list[Unit]:
        sites = self._within([module.path])
        if not sites:
            return [Unit("module", [module])]
        own = self._own(module)
        if module is not self.root:
            if self._attends(module):
                return [Unit("attention", [module], sites, gates=is_gate(sites[0]))]
            if self._is_layer(module):
                return [self._tower([module])]
        found: list[Unit] = []
        for run in self._runs(module.children):
            if own and self.first(run[0]) > module.attends:
                found, own = attending(found, module, own), []
            if self._is_plain(run[0]):
                found += [Unit("module", [each]) for each in run]
            elif self._attends(run[0]) or not (len(run) > 1 or run[0].name.isdigit()) or self._is_apart(run):
                found += [unit for each in run for unit in self._units(each)]
            else:
                found.append(self._tower(run))
        return attending(found, module, own) if own else found

    def _tower(self, run: Sequence[Module]) -> Unit:
        paths = [module.path for module in run]
        sites, parts = self._within(paths), self._parts(run[0], paths)
        drawn = {site.name for part in parts for site in part.sites}
        for kind in dict.fromkeys(site.kind for site in sites):  # of layers that are not like the first one
            others = [site for site in sites if site.kind == kind and site.name not in drawn]
            parts += [Unit("attention", (), others)] if others else []
        return Unit("tower", run, sites, parts)

    def _parts(self, layer: Module, paths: Sequence[str]) -> list[Unit]:
        """Return what one layer is made of; sites are those of all layers, which are at `paths`."""
        own = [site for path, site in self.sites if path in paths]
        found: list[Unit] = []
        for run in self._runs(layer.children):
            if own and self.first(run[0]) > layer.attends:
                found, own = attending(found, layer, own), []
            inner = [f"{path}.{each.name}" for path in paths for each in run]
            sites = self._within(inner)
            if self._is_plain(run[0]):
                found += [Unit("module", [each]) for each in run]
            elif self._attends(run[0]):
                found.append(Unit("attention", [run[0]], sites, gates=is_gate(sites[0])))
            else:
                found += self._parts(run[0], inner)
        return merged(attending(found, layer, own) if own else found)

    def _within(self, paths: Sequence[str]) -> list[Site]:
        return [self.sites[i][1] for i in sorted({i for path in paths for i in self._held.get(path, ())})]

    def _own(self, module: Module) -> list[Site]:
        held = (self.sites[i] for i in self._held.get(module.path, ()))
        return [site for path, site in held if path == module.path]

    def _is_plain(self, module: Module) -> bool:
        return module.path not in self._held

    def _is_apart(self, run: Sequence[Module]) -> bool:
        return any(site.name in self.apart for site in self._within([module.path for module in run]))

    def _attends(self, module: Module) -> bool:
        """Tell a module that is an attention, or little more than one."""
        sites = self._within([module.path])
        says = _ATTENDS.search(module.name) or _ATTENDS.search(module.class_name)
        if self._own(module):
            later = [it for it in module.children if self.first(it) > module.attends and not is_trivial(it)]
            return bool(says or len(later) <= 1 or module.attends < 0)  # one projects the output
        return bool(sites and says and len({path_of(site) for site in sites}) == 1 and not is_gate(sites[0]))

    def _is_layer(self, module: Module) -> bool:
        """Tell a module that is an attention among other things, and holds no layers itself."""
        holding = [child for child in module.children if not self._is_plain(child)]
        others = [child for child in module.children if self._is_plain(child) and not is_trivial(child)]
        attend = all(map(self._attends, holding)) or self._own(module)
        return bool(attend and (others or len(holding) > 1) and not self._is_apart([module]))

    def _runs(self, children: Iterable[Module]) -> list[list[Module]]:
        """Put neighbours together that are alike: of one class, with sites at the same places in them."""
        ordered = self.in_order(children)
        runs: list[list[Module]] = []
        for child in ordered:
            alike = self._pattern(child)
            if runs and alike[1] and self._pattern(runs[-1][0]) == alike:
                runs[-1].append(child)
            else:
                runs.append([child])
        layers = [child for child in ordered if child.name.isdigit()]
        if len(runs) > MOST_RUNS and len(layers) == len(ordered) and len({it.class_name for it in ordered}) <= 2:
            with_sites = [child for child in ordered if not self._is_plain(child)]
            return [[*with_sites, *(child for child in ordered if self._is_plain(child))]]
        return runs

    def _pattern(self, module: Module) -> tuple[str, tuple[tuple[str, str, str], ...]]:
        start = len(module.path)
        inside = (self.sites[i] for i in self._held.get(module.path, ()))
        return module.class_name, tuple((path[start:], site.kind, lane_of(site.query)) for path, site in inside)

    def in_order(self, modules: Iterable[Module]) -> list[Module]:
        """Return modules in the order in which they first ran; those that did not stay behind their neighbour."""
        last, keyed = -1, []
        for i, module in enumerate(modules):
            first = self.first(module)
            last = first if first >= 0 else last
            keyed.append((last, i, module))
        return [module for *_, module in sorted(keyed, key=lambda it: it[:2])]

    def first(self, module: Module) -> int:
        """Return when a module, or else the first in it, was called; -1 if none was."""
        if module.path not in self._first:
            inner = [first for child in module.children if (first := self.first(child)) >= 0]
            self._first[module.path] = module.order if module.order >= 0 else min(inner, default=-1)
        return self._first[module.path]


def _walk(module: Module) -> Iterable[Module]:
    yield module
    for child in module.children:
        yield from _walk(child)


def _ancestors(path: str) -> list[str]:
    """Return a path and those around it, "" included."""
    parts = path.split(".") if path else []
    return [".".join(parts[:n]) for n in range(len(parts), -1, -1)]
