"""From units to a diagram: rows of blocks from strip to strip, and what connects them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from attnwidget.architecture.data import Architecture, Module, Node
from attnwidget.architecture.drawing import Drawing
from attnwidget.architecture.sides import Sides
from attnwidget.architecture.tree import Tree
from attnwidget.architecture.units import Unit, lane_of, path_of
from attnwidget.outline import Site

_POINTS = re.compile(r"pointer|copy", re.IGNORECASE)
_POOLS = re.compile(r"pool", re.IGNORECASE)
_LEADS = re.compile(r"projector|connector|merger|resampler", re.IGNORECASE)


def architecture_of(modules: Module | None, sites: Sequence[Site], strips: Iterable[str]) -> Architecture:
    """Return the diagram of a network.

    Args:
        modules: the network; None where only its weights are known.
        sites: the places where it attends.
        strips: names of the strips that have tokens.
    """
    if not sites:
        return Architecture()
    apart = _apart(sites)
    units, depth = _units(modules, sites, apart)
    first = {unit.sites[0].name for unit in units if unit.kind == "attention"}
    if not all(site.name in first for site in apart):  # it shares a module with another one
        apart = []
        units, depth = _units(modules, sites, apart)
    drawing = Drawing(depth, modules.class_name if modules else "")
    if apart:
        _draw_apart(drawing, Sides(units, depth, apart), set(strips))
    else:
        _draw_towers(drawing, Sides(units, depth, ()), set(strips))
    return drawing.finished()


def _units(modules: Module | None, sites: Sequence[Site], apart: Sequence[Site]) -> tuple[list[Unit], int]:
    if modules is None:
        return _without_modules(sites, apart), 0
    tree = Tree(modules, sites, frozenset(site.name for site in apart))
    return [*tree.units(), *_without_modules(tree.lost, apart)], tree.depth


def _apart(sites: Sequence[Site]) -> list[Site]:
    """Return cross-attention that stands between two networks, and not in layers that attend to themselves too."""
    askers = {site.query for site in sites if site.kind == "decoder"}
    names = [re.sub(r"\d+", "0", path_of(site)) for site in sites]
    return [
        site
        for site, name in zip(sites, names, strict=True)
        if site.query not in askers and names.count(name) == 1 and _is_cross(site)
    ]


def _is_cross(site: Site) -> bool:
    """Tell attention to another sequence from a mask over the one that is read."""
    return site.kind == "cross" and not any(flag.kind == "mask" for flag in site.flags)


def _without_modules(sites: Sequence[Site], apart: Sequence[Site]) -> list[Unit]:
    """Return units for sites of which only the weights are known: a tower for the encoder, one for the decoder."""
    found = [Unit("attention", (), [site]) for site in sites if site in apart]
    for kinds in (("encoder",), ("decoder", "cross")):
        of_kinds = [[site for site in sites if site.kind == kind and site not in apart] for kind in kinds]
        parts = [Unit("attention", (), own) for own in of_kinds if own]
        if parts:
            tower = [site for site in sites if site.kind in kinds and site not in apart]
            found.insert(0 if kinds == ("encoder",) else len(found), Unit("tower", (), tower, parts))
    return found


def _draw_towers(drawing: Drawing, sides: Sides, strips: set[str]) -> None:
    """Draw a row for each sequence that is read: its strip, its towers and what is around them."""
    lanes = sides.lanes()
    crosses = [site for units in lanes.values() for unit in units for site in unit.sites if _is_cross(site)]
    lanes = {lane_of(site.key): [] for site in crosses if lane_of(site.key) not in lanes} | lanes
    ends: dict[str, str] = {}
    led_to = ""  # the end of a row whose sequence is read by the tower of the next one
    asked: list[tuple[Node, Site]] = []
    for row, (lane, units) in enumerate(lanes.items()):
        own = [site for unit in units for site in unit.sites]
        decodes = lane == "target" and any(site.query == "target" for site in own)
        keys = next((site.key for site in own if site.kind == "decoder"), "target") if decodes else lane
        last = row == len(lanes) - 1
        chain = [drawing.strip(keys, row)]
        for unit in units:
            chain.append(drawing.unit(unit, row))
            asked += [(chain[-1], site) for site in unit.sites if _is_cross(site)]
            if unit.sites or not _POOLS.search(_class_and_name(unit)):
                ends[lane] = chain[-1].id
            if unit.sites and led_to:
                drawing.connect(led_to, chain[-1].id, "flow")
                led_to = ""
        led_to = chain[-1].id if units and _LEADS.search(_class_and_name(units[-1])) else ""
        if decodes or (last and "target" in strips and "target" not in lanes):
            chain.append(drawing.strip("target", row))
        drawing.flow(chain)
    rows = list(lanes)
    for block, site in asked:
        lane = lane_of(site.key)
        source = ends.get(lane) or drawing.strip_id(site.key)
        if source and lane != rows[block.lane]:
            drawing.connect(source, drawing.attention_of(site.name) or block.id, "keys")


def _draw_apart(drawing: Drawing, sides: Sides, strips: set[str]) -> None:
    """Draw an attention between two networks: a row from strip to strip, and below it what asks."""
    attentions = sides.attentions
    site = attentions[0].sites[0]
    before, after = sides.before(), sides.after()
    reads = (
        not after and not site.asks and bool(before) and "target" in strips
    )  # what asks is a sequence that was given
    points = not after and not reads and bool(_POINTS.search(_class_and_name(attentions[0])))
    row: list[Node] = []
    contexts: list[Node] = []
    for lane, (key, units) in enumerate(sides.sources().items()):
        chain = [drawing.strip(key, lane), *(drawing.unit(unit, lane) for unit in units)]
        asked = [drawing.unit(unit, lane) for unit in attentions if lane_of(unit.sites[0].key) == key]
        if asked:
            drawing.flow([*chain, asked[0]], last="keys")
            for one, other in pairwise(asked):
                drawing.connect(one.id, other.id, "flow")
            end = asked[-1] if points else drawing.context(lane)
            drawing.connect(asked[-1].id, end.id, "flow") if end is not asked[-1] else None
            contexts.append(end)
            chain = [*chain, *asked, end]
        else:
            drawing.flow(chain)
        row = row or chain
    lane = drawing.n_lanes
    asks_later = [drawing.strip("target", lane)] if reads else []
    asks_later += [drawing.unit(unit, lane) for unit in before]
    answer = [drawing.unit(unit, 0) for unit in after]
    if not reads:
        answer.append(drawing.strip("target", 0))
    drawing.flow(asks_later)
    drawing.flow(answer)
    for context in contexts:
        if answer:
            drawing.connect(context.id, answer[0].id, "flow")
    asker = asks_later[-1] if asks_later else answer[0] if after else None
    if asks_later and after:
        drawing.connect(asks_later[-1].id, answer[0].id, "flow")
    for unit in attentions:
        attention = drawing.attention_of(unit.sites[0].name)
        if asker is not None and attention:
            drawing.connect(asker.id, attention, "query")


def _class_and_name(unit: Unit) -> str:
    return " ".join(f"{module.name} {module.class_name}" for module in unit.members)
