"""Modules as torch tells them, and the nodes and edges of a diagram, which go to files and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, cast, get_args

NodeKind = Literal["strip", "module", "tower", "attention", "context", "part"]
EdgeKind = Literal["flow", "keys", "query", "gate"]

MAX_NODES = 2000  # more than any diagram that folds its layers


class Module(NamedTuple):
    """A module of a network, with what can be told of it without torch.

    Args:
        path: as `named_modules` gives it; "" for the network itself.
        class_name: the name of its class.
        detail: its class and sizes in a few words, as in "GRU 64 → 128"; empty where nothing is known.
        order: when it was first called, counted over all modules; -1 if it was not, or nobody saw it.
        shape: of what it read when it was first called, as in "1 × 12 × 64".
        children: its own modules, as they were registered.
        attends: when it first attended itself, counted like `order`; -1 if it did not, or nobody saw it.
    """

    path: str
    class_name: str
    detail: str = ""
    order: int = -1
    shape: str = ""
    children: tuple[Module, ...] = ()
    attends: int = -1

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Node:
    """A block of the diagram.

    Args:
        id: unique in its diagram.
        kind: a "strip" of tokens, a "module", a "tower" of layers that are alike, an "attention", the "context" vector
            that it gives, or a "part" that is only listed when the block around it is opened.
        label: what to call it; empty where its kind, its strip or its sites say that.
        detail: more about it, as in "GRU 64 → 128".
        shape: of what it read.
        parent: the block that it is inside of; "" for those that stand alone.
        lane: the row in which it stands, from 0.
        repeat: how many layers it stands for.
        sites: names of the sites in it, layer by layer.
        strip: of a strip, its name in the trace.
    """

    id: str
    kind: NodeKind
    label: str = ""
    detail: str = ""
    shape: str = ""
    parent: str = ""
    lane: int = 0
    repeat: int = 1
    sites: tuple[str, ...] = ()
    strip: str = ""


@dataclass(frozen=True)
class Edge:
    """A connection of two nodes.

    Args:
        source: id of the node that gives.
        target: id of the node that takes.
        kind: the "flow" of what is computed; "keys", which are attended to; the "query" that asks; or the "gate" that
            multiplies.
    """

    source: str
    target: str
    kind: EdgeKind = "flow"


class NodeData(TypedDict):
    """A block of the diagram."""

    id: Annotated[str, "unique in the diagram"]
    kind: Annotated[NodeKind, "what it is"]
    label: Annotated[str, "what to call it; empty where its kind, strip or sites say that"]
    detail: Annotated[str, "more about it"]
    shape: Annotated[str, "of what it read, as in 1 × 12 × 64"]
    parent: Annotated[str, "id of the block that it is inside of; empty for those that stand alone"]
    lane: Annotated[int, "the row in which it stands, from 0"]
    repeat: Annotated[int, "how many layers it stands for"]
    sites: Annotated[list[str], "names of the sites in it, layer by layer"]
    strip: Annotated[str, "of a strip, its name"]


class EdgeData(TypedDict):
    """A connection of two blocks."""

    source: Annotated[str, "id of the block that gives"]
    target: Annotated[str, "id of the block that takes"]
    kind: Annotated[EdgeKind, "what goes along it"]


class ArchitectureData(TypedDict):
    """The diagram of the network: blocks row by row, parts behind what they are part of."""

    nodes: Annotated[list[NodeData], "blocks"]
    edges: Annotated[list[EdgeData], "connections"]


@dataclass(frozen=True)
class Architecture:
    """A diagram: nodes row by row, each row in the order of the flow, parts behind what they are part of; and edges.

    Raises:
        ValueError: two nodes of one id, or a parent or an end of an edge that is no node before it, or none at all.
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        ids: set[str] = set()
        for node in self.nodes:
            if node.id in ids or not node.id:
                raise ValueError(f"two nodes of the diagram have the id {node.id!r}, or it is empty")
            if node.parent and node.parent not in ids:
                raise ValueError(f"node {node.id!r} is a part of {node.parent!r}, which is no node before it")
            ids.add(node.id)
        for edge in self.edges:
            if edge.source not in ids or edge.target not in ids:
                raise ValueError(f"an edge goes from {edge.source!r} to {edge.target!r}, which are not both nodes")

    def to_dict(self) -> ArchitectureData:
        """Return it as plain lists and dictionaries, which JSON can hold."""
        nodes = [cast("NodeData", {**asdict(node), "sites": list(node.sites)}) for node in self.nodes]
        return {"nodes": nodes, "edges": [cast("EdgeData", asdict(edge)) for edge in self.edges]}

    @classmethod
    def from_dict(cls, data: object) -> Architecture:
        """Return the diagram that `to_dict` gave.

        Raises:
            ValueError: something else, or a diagram that contradicts itself.
        """
        nodes, edges = _list(data, "nodes"), _list(data, "edges")
        if len(nodes) + len(edges) > 2 * MAX_NODES:
            raise ValueError(
                f"a diagram of {len(nodes)} nodes and {len(edges)} edges came, at most {2 * MAX_NODES} together were "
                "expected"
            )
        return cls(tuple(map(_node, nodes)), tuple(map(_edge, edges)))


def _list(data: object, name: str) -> Sequence[object]:
    value = data.get(name) if isinstance(data, Mapping) else None
    if not isinstance(value, list):
        raise ValueError(f"the {name} of the diagram are {type(value).__name__} where a list was expected")
    return value


def _fields(data: object, kinds: Mapping[str, type], what: str) -> dict[str, Any]:
    if not isinstance(data, Mapping) or set(data) != set(kinds):
        raise ValueError(f"{what} of the diagram has other fields than {', '.join(kinds)}")
    for name, kind in kinds.items():
        if type(data[name]) is not kind:
            raise ValueError(
                f"{name} of {what} of the diagram is {type(data[name]).__name__} where {kind.__name__} was expected"
            )
    return dict(data)


_NODE = dict.fromkeys(("id", "kind", "label", "detail", "shape", "parent", "strip"), str) | {
    "lane": int,
    "repeat": int,
    "sites": list,
}
_EDGE = dict.fromkeys(("source", "target", "kind"), str)


def _node(data: object) -> Node:
    fields = _fields(data, _NODE, "a node")
    if fields["kind"] not in get_args(NodeKind):
        raise ValueError(f"a node of the diagram is {fields['kind']!r}, which is no kind of node")
    if not 0 <= fields["lane"] < MAX_NODES or not 1 <= fields["repeat"] <= 10**6:
        raise ValueError(
            f"node {fields['id']!r} of the diagram stands in row {fields['lane']}, {fields['repeat']} times"
        )
    if any(type(name) is not str for name in fields["sites"]):
        raise ValueError(f"the sites of node {fields['id']!r} of the diagram are not all names")
    return Node(**{**fields, "sites": tuple(fields["sites"])})


def _edge(data: object) -> Edge:
    fields = _fields(data, _EDGE, "an edge")
    if fields["kind"] not in get_args(EdgeKind):
        raise ValueError(f"an edge of the diagram is {fields['kind']!r}, which is no kind of edge")
    return Edge(**fields)
