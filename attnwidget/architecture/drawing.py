"""Nodes and edges, as they are drawn one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from attnwidget.architecture.data import Architecture, Edge, EdgeKind, Module, Node, NodeKind
from attnwidget.architecture.naming import detail_of, inner_name, layer_name, name_of
from attnwidget.architecture.units import Unit, is_trivial

MOST_PARTS = 24  # that are listed of a block


class Drawing:
    """A diagram that grows.

    Args:
        depth: how many parts the paths of all modules have in common.
        named: the class of the network, whose name says nothing of a part of it.
    """

    def __init__(self, depth: int, named: str = "") -> None:
        self._depth, self._named = depth, named.lower()
        self._nodes: list[Node] = []
        self._edges: list[Edge] = []

    @property
    def n_lanes(self) -> int:
        """How many rows there are."""
        return 1 + max((node.lane for node in self._nodes), default=-1)

    def finished(self) -> Architecture:
        """Return the diagram."""
        return Architecture(tuple(self._nodes), tuple(self._edges))

    def connect(self, source: str, target: str, kind: EdgeKind) -> None:
        """Add an edge, once."""
        edge = Edge(source, target, kind)
        if edge not in self._edges and source != target:
            self._edges.append(edge)

    def flow(self, chain: Sequence[Node], last: EdgeKind = "flow") -> None:
        """Connect blocks one after the other, the last two by an edge of another kind."""
        for i in range(1, len(chain)):
            self.connect(chain[i - 1].id, chain[i].id, last if i == len(chain) - 1 else "flow")

    def strip(self, name: str, lane: int) -> Node:
        """Add a strip of tokens."""
        return self._add("strip", lane=lane, strip=name)

    def strip_id(self, name: str) -> str:
        """Return the id of a strip that was drawn; empty where it was not."""
        return next((node.id for node in self._nodes if node.kind == "strip" and node.strip == name), "")

    def context(self, lane: int) -> Node:
        """Add a context vector."""
        return self._add("context", lane=lane)

    def attention_of(self, site: str) -> str:
        """Return the id of the attention in which a site is; empty where none has it."""
        return next((node.id for node in self._nodes if node.kind == "attention" and site in node.sites), "")

    def unit(self, unit: Unit, lane: int) -> Node:
        """Add a block with what is inside it."""
        first = unit.members[0] if unit.members else None
        sites = tuple(site.name for site in unit.sites)
        if unit.kind == "tower":
            label = layer_name(first.path) if first else ""
            label = "" if self._named.startswith(label.replace(" ", "")) else label
            detail = (first.detail or first.class_name) if first else ""
            shape = first.shape if first else ""
            n_layers = len(unit.members) or max(len(part.sites) for part in unit.parts)
            tower = self._add("tower", label, detail, shape, lane=lane, repeat=n_layers, sites=sites)
            self._inside(tower, unit.parts)
            return tower
        node = self._block(unit, "", lane)
        self._list(node, unit.parts)
        return node

    def _inside(self, tower: Node, parts: Sequence[Unit]) -> None:
        gate, last = "", ""
        chain: list[Node] = []
        for part in parts:
            if part.kind == "module" and part.members and _is_small(part):
                self._list(tower, [part])
                continue
            node = self._block(part, tower.id, tower.lane)
            self._list(node, part.parts)
            chain.append(node)
            gate, last = (node.id if part.gates else gate), (last if part.gates else node.id)
        if gate and last:
            self.connect(gate, last, "gate")
        else:
            self.flow(chain)

    def _block(self, unit: Unit, parent: str, lane: int) -> Node:
        first = unit.members[0] if unit.members else None
        sites = tuple(site.name for site in unit.sites)
        if unit.kind == "attention":
            detail = (first.detail or first.class_name) if first else ""
            return self._add("attention", "", detail, first.shape if first else "", parent, lane, sites=sites)
        label = inner_name(unit.members) if parent else name_of(unit.members, self._depth)
        shape = next((module.shape for module in unit.members if module.shape), "")
        node = self._add("module", label, detail_of(unit.members), shape, parent, lane)
        listed = unit.members[0].children if len(unit.members) == 1 else unit.members
        self._list(node, [Unit("module", [module]) for module in listed])
        return node

    def _list(self, node: Node, parts: Sequence[Unit]) -> None:
        members = [module for part in parts for module in part.members]
        for module in members[:MOST_PARTS]:
            self._part(node, module)
        if len(members) > MOST_PARTS:
            self._add("part", f"… {len(members) - MOST_PARTS} more", parent=node.id, lane=node.lane)

    def _part(self, node: Node, module: Module) -> None:
        self._add("part", module.name, module.detail or module.class_name, module.shape, node.id, node.lane)

    def _add(
        self,
        kind: NodeKind,
        label: str = "",
        detail: str = "",
        shape: str = "",
        parent: str = "",
        lane: int = 0,
        *,
        repeat: int = 1,
        sites: tuple[str, ...] = (),
        strip: str = "",
    ) -> Node:
        node = Node(str(len(self._nodes)), kind, label, detail, shape, parent, lane, repeat, sites, strip)
        self._nodes.append(node)
        return node


def _is_small(unit: Unit) -> bool:
    return all(map(is_trivial, unit.members))
