"""On which side of an attention each module stands: told by paths, by names, and by what ran when."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnwidget.architecture.units import Unit, depth_of, is_trivial, lane_of
from attnwidget.outline import Site

_SOURCE = re.compile(
    r"(?:^|_)(?:enc(?:oder)?|sources?|src|inputs?|image|visual|vision|features?)(?:$|_)", re.IGNORECASE
)
_TARGET = re.compile(r"(?:^|_)(?:dec(?:oder)?|targets?|tgt|trg|outputs?|query|state|caption)(?:$|_)", re.IGNORECASE)
_RECURRENT = re.compile(r"GRU|LSTM|RNN")
_READS = re.compile(r"Embed|Conv|Features|Patch")


class Sides:
    """Units by the side on which they stand.

    Args:
        units: in the order in which they run.
        depth: how many parts their paths have in common.
        apart: sites that are drawn for themselves.
    """

    def __init__(self, units: Sequence[Unit], depth: int, apart: Sequence[Site]) -> None:
        names = {site.name for site in apart}
        self._units, self._depth = list(units), depth
        self.attentions = [unit for unit in units if unit.sites and unit.sites[0].name in names]
        self._sided = [unit for unit in units if unit.sites and unit not in self.attentions]

    def lanes(self) -> dict[str, list[Unit]]:
        """Return units by the sequence that they read, that of the output last."""
        names = dict.fromkeys(self._own_lane(unit) for unit in self._sided)
        ordered = sorted(names, key=lambda lane: lane == "target")
        lanes: dict[str, list[Unit]] = {lane: [] for lane in ordered}
        for i, unit in enumerate(self._units):
            lanes[self._lane(unit, i, ordered)].append(unit)
        return {lane: grouped(units) for lane, units in lanes.items()}

    def sources(self) -> dict[str, list[Unit]]:
        """Return, for each sequence that an attention drawn for itself looks at, the units that read it."""
        keys = dict.fromkeys(lane_of(unit.sites[0].key) for unit in self.attentions)
        sources: dict[str, list[Unit]] = {key: [] for key in [*keys, *map(self._own_lane, self._sided)]}
        first = next(iter(keys))
        for unit in self._on_source:
            lane = self._own_lane(unit) if unit.sites else first
            if not unit.sites:
                lane = next((key for key in sources if key != "source" and key in unit.path), first)
            sources[lane].append(unit)
        return {lane: grouped(units) for lane, units in sources.items()}

    def before(self) -> list[Unit]:
        """Return what runs before the attention and asks it."""
        units = [unit for unit in self._on_target if self._ran_before(unit)]
        recurs = [unit for unit in self._on_target if _is_recurrent(unit)]
        if self._asks == "before" or (not self._asks and recurs and not any(map(self._ran_before, recurs))):
            return []
        main = [unit for unit in units if unit.sites or not all(map(is_trivial, unit.members))]
        return grouped(units) if main else []

    def after(self) -> list[Unit]:
        """Return what takes the context: the decoder, and what makes its output."""
        asked = [unit.path for before in self.before() for unit in (before, *before.parts)]
        asked += [member.path for before in self.before() for member in before.members]
        units = [unit for unit in self._on_target if unit.path not in asked]
        if any(unit.sites for unit in units):
            return grouped(units)
        recurs = [unit for unit in units if _is_recurrent(unit)]
        parents = {unit.path.rpartition(".")[0] for unit in units}
        if not recurs or (len(parents) == 1 and depth_of(parents.pop()) > self._depth):
            return [_group(units)] if units else []
        small = [unit for unit in units if unit not in recurs and _feeds(unit)]
        rest = [unit for unit in units if unit not in recurs and unit not in small]
        return [_group([*small, *recurs]), *([_group(rest)] if rest else [])]

    @property
    def _asks(self) -> str:
        return self.attentions[0].sites[0].asks

    @property
    def _on_source(self) -> list[Unit]:
        return [unit for unit in self._units if unit not in self.attentions and not self._is_of_target(unit)]

    @property
    def _on_target(self) -> list[Unit]:
        return [unit for unit in self._units if unit not in self.attentions and self._is_of_target(unit)]

    def _ran_before(self, unit: Unit) -> bool:
        return self._units.index(unit) < self._units.index(self.attentions[0])

    def _is_of_target(self, unit: Unit) -> bool:
        """Tell what belongs to the sequence that asks."""
        if unit.sites:
            return self._own_lane(unit) == "target"
        if _common(unit.path, self.attentions[0].path) > self._depth:
            return True
        if not self._ran_before(unit):
            return not (_side(unit, self._depth) == "source" and _is_recurrent(unit))
        plain = [it for it in self._units if not it.sites and self._ran_before(it)]
        named = [_side(it, self._depth) for it in plain]
        streams = _streams(plain)
        if len(set(streams)) > 1 and "target" not in named:
            return streams[plain.index(unit)] == max(streams)
        return named[plain.index(unit)] == "target"

    def _own_lane(self, unit: Unit) -> str:
        site = next((site for site in unit.sites if site.kind != "encoder"), unit.sites[0])
        return lane_of(site.key if unit.gates or any(part.gates for part in unit.parts) else site.query)

    def _lane(self, unit: Unit, index: int, lanes: Sequence[str]) -> str:
        if unit.sites or len(lanes) == 1:
            return self._own_lane(unit) if unit.sites else lanes[0]
        near = [(_common(unit.path, other.path), self._own_lane(other)) for other in self._sided if other.members]
        most = max((common for common, _ in near), default=0)
        closest = {lane for common, lane in near if common == most}
        if most > self._depth and len(closest) == 1:
            return closest.pop()
        side = _side(unit, self._depth)
        named = [lane for lane in lanes if (lane == "target") == (side == "target")] if side else []
        if len(named) == 1:
            return named[0]
        earlier = [self._own_lane(other) for other in self._units[:index] if other.sites]
        later = [self._own_lane(other) for other in self._units[index:] if other.sites]
        return earlier[-1] if earlier else later[0]


def grouped(units: Sequence[Unit]) -> list[Unit]:
    """Put plain neighbours together into one block; what is trivial joins the tower before it."""
    found: list[Unit] = []
    for unit in units:
        if unit.kind != "module":
            found.append(unit)
        elif found and found[-1].kind == "module":
            found[-1] = _group([found[-1], unit])
        else:
            found.append(_group([unit]))
    kept: list[Unit] = []
    for unit in found:
        if unit.kind == "module" and kept and all(map(is_trivial, unit.members)):
            kept[-1].parts.append(unit)
        else:
            kept.append(unit)
    return kept


def _group(units: Sequence[Unit]) -> Unit:
    return Unit("module", [member for unit in units for member in unit.members])


def _is_recurrent(unit: Unit) -> bool:
    return any(_RECURRENT.search(it.class_name) for member in unit.members for it in (member, *member.children))


def _feeds(unit: Unit) -> bool:
    return all(is_trivial(it) or re.search("Embed", it.class_name) or "init" in it.name for it in unit.members)


def _side(unit: Unit, depth: int) -> str:
    for part in unit.path.split(".")[depth:]:
        for side, names in (("target", _TARGET), ("source", _SOURCE)):
            if names.search(part):
                return side
    return ""


def _streams(units: Sequence[Unit]) -> list[int]:
    """Number what runs by the sequence that it reads: where tokens or pixels are read anew, another one begins."""
    numbers: list[int] = []
    number, reading = 0, True
    for unit in units:
        reads = any(_READS.search(member.class_name) for member in unit.members)
        embeds = any("Embed" in member.class_name for member in unit.members)
        if reads and not reading and embeds:
            number += 1
        reading = embeds if reads and embeds else False
        numbers.append(number)
    return numbers


def _common(one: str, other: str) -> int:
    n = 0
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if a != b:
            break
        n += 1
    return n
