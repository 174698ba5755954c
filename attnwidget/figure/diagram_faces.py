"""What is written in the blocks of the diagram, and which of them the chosen site lights. As `diagram-faces.ts`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnwidget.architecture import Architecture
from attnwidget.architecture.data import Edge, Node
from attnwidget.figure.diagram_layout import Box
from attnwidget.figure.look import Look
from attnwidget.figure.text import shown
from attnwidget.outline import Asks, Site

_MOST_LABEL, _MOST_TOKEN = 40, 14  # characters


def boxes_of(look: Look, network: Architecture) -> list[Box]:
    """Return the blocks with the words that they have at the step; parts that are only listed have none."""
    return [
        Box(node.id, node.kind, *_text(look, network, node), node.parent, node.lane)
        for node in network.nodes
        if node.kind != "part"
    ]


def said_of(look: Look, network: Architecture, edge: Edge) -> str:
    """Return the words at a line."""
    if edge.kind != "query":
        return "×" if edge.kind == "gate" else ""
    asked = next((node for node in network.nodes if node.id == edge.target), None)
    asks: Asks = next((site.asks for site in look.trace.sites if asked and site.name in asked.sites), "")
    return look.words.query_with[asks]


def lit(network: Architecture, site: Site) -> tuple[set[str], set[Edge]]:
    """Return the way through the diagram that a site stands for: from its keys to what takes what it gives."""
    nodes = {node.id: node for node in network.nodes}
    blocks = {node.id for node in network.nodes if node.kind == "strip" and node.strip in (site.key, site.query)}
    lines: set[Edge] = set()
    attention = next((node for node in network.nodes if node.kind == "attention" and site.name in node.sites), None)
    if attention is None:
        return blocks, lines
    own, parent = attention.id, attention.parent
    blocks |= {own, parent} - {""}
    contexts = {edge.target for edge in network.edges if edge.source == own and nodes[edge.target].kind == "context"}
    for edge in network.edges:
        inside = bool(parent) and edge.kind == "flow" and nodes[edge.source].parent == parent
        given = edge.source == own or edge.source in contexts
        taken = edge.target == own or (edge.target == parent and site.kind != "cross")
        if inside or not (given or taken):
            continue
        lines.add(edge)
        blocks |= {edge.target} if given and not parent else set()
        blocks |= {edge.source} if edge.kind == "query" else set()
    return blocks, lines


def _text(look: Look, network: Architecture, node: Node) -> tuple[str, str]:
    """Return title and detail of a block."""
    words, sites = look.words, _inside(look, node)
    label = shown(node.label, _MOST_LABEL) if node.label else ""
    detail = shown(node.detail, _MOST_LABEL) if node.detail else ""
    if node.kind == "strip":
        return _strip_title(look, network, node), _strip_detail(look, network, node)
    if node.kind == "context":
        return words.context_vector, f"c({look.step + 1})"
    if node.kind == "tower":
        layer = _layer(network, node, look.site)
        title = label or words.towers[sites[0].kind if sites else "encoder"]
        many = f"{title} × {node.repeat}" if node.repeat > 1 else title
        return many, words.layer(layer, node.repeat) if layer >= 0 else detail
    if node.kind == "module":
        return label, detail
    first = sites[0] if sites else None
    is_mask = first is not None and any(flag.kind == "mask" for flag in first.flags)
    title = (
        words.attention
        if first is None or (first.kind == "cross" and not node.parent)
        else words.attentions[first.kind]
    )
    several = first is not None and first.n_heads > 1 and not is_mask
    return words.mask if is_mask else title, words.heads(first.n_heads) if first and several else detail


def _inside(look: Look, node: Node) -> Sequence[Site]:
    by_name = {site.name: site for site in look.trace.sites}
    return [by_name[name] for name in node.sites if name in by_name]


def _strip_title(look: Look, network: Architecture, node: Node) -> str:
    words, names = look.words, look.words.names
    if node.strip != "target":
        known = {"context": names["read"], "source": names["input"]}
        return known.get(node.strip) or shown(re.sub("_", " ", node.strip), _MOST_LABEL)
    another = any(other.strip == "target" and other.id != node.id for other in network.nodes)
    return words.so_far if another and any(edge.source == node.id for edge in network.edges) else names["output"]


def _strip_detail(look: Look, network: Architecture, node: Node) -> str:
    words, tokens = look.words, look.trace.tokens.get(node.strip)
    texts, scene = (tokens.texts, tokens.scene) if tokens is not None else ((), None)
    is_output = node.strip == "target" and _strip_title(look, network, node) == words.names["output"]
    if is_output and look.site.query == "target" and look.step < len(texts):
        return f"“{shown(texts[look.step], _MOST_TOKEN)}”"
    return (words.patches if scene is not None and scene.kind != "audio" else words.tokens)(len(texts))


def _layer(network: Architecture, tower: Node, site: Site) -> int:
    """Return which layer of a tower a site is in; -1 where it is in none."""
    for node in network.nodes:
        if node.parent == tower.id and node.kind == "attention" and site.name in node.sites:
            return node.sites.index(site.name) if tower.repeat == len(node.sites) > 1 else -1
    return -1
