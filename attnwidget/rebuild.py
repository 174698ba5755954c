"""A trace of its header and its tensors; whatever does not fit is refused."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, cast, get_args

import numpy as np

from attnwidget.architecture import Architecture
from attnwidget.booked import unbooked
from attnwidget.disk import unique
from attnwidget.header import CRC, HEADER, VERSION
from attnwidget.ledger import SOURCE, TARGET
from attnwidget.outline import MAX_PLACES, Asks, Beam, Flag, FlagKind, Kind, Site, Status
from attnwidget.scene import Scene, SceneKind, as_seconds
from attnwidget.stores import STORES, Store
from attnwidget.tokens import Tokens
from attnwidget.trace import Trace

T = TypeVar("T")


class Tensors(Protocol):
    """The tensors of a file, by name."""

    def tensor(self, name: str) -> np.ndarray:
        """Return one of them."""

    def check(self, name: str, crc: object) -> None:
        """Raise ValueError if it was read and has another CRC-32."""


def checked_text(metadata: Mapping[str, object]) -> str:
    """Return the text of a header that stands beside its CRC-32.

    Raises:
        ValueError: there is none, or not the one that was written.
    """
    text = metadata.get(HEADER)
    if not isinstance(text, str):
        raise ValueError("it has no attnwidget header")
    if metadata.get(CRC) != str(zlib.crc32(text.encode("utf-8"))):
        raise ValueError("its header is not the one that was written")
    return text


def read_header(text: str) -> dict[str, Any]:
    """Return the header of a file of this version, of what the file says.

    Raises:
        ValueError, RecursionError: it is no header, or one of a version that is not known.
    """
    header = json.loads(text, object_pairs_hook=unique, parse_constant=_refuse)
    version = _field(header, "version", int)
    if not 1 <= version <= VERSION:
        remedy = "; update attnwidget" if version > VERSION else ""
        raise ValueError(f"it has version {version}, this package reads 1 to {VERSION}{remedy}")
    _one_of(_field(header, "status", str), Status, "its status is unknown")
    for name, kind in (("title", str), ("strips", dict), ("known", list), ("steps", list), ("sites", list)):
        _field(header, name, kind)
    if version == 1:
        header |= {"n_read": None, "beams": []}
        dense = {"store": "dense", "numbers": {}}
        header["sites"] = [{**site, **dense, "crc": {"weights": _field(site, "crc", int)}} for site in header["sites"]]
    return cast("dict[str, Any]", header)


def _refuse(constant: str) -> object:
    raise ValueError(f"its header holds {constant}, which is no number")


def _field(data: object, name: str, kind: type[T]) -> T:
    """Return a field of a JSON object, which must be there and of this type."""
    value = data.get(name) if isinstance(data, dict) else None
    if type(value) is not kind:
        raise ValueError(f"{name} is {type(value).__name__} where {kind.__name__} was expected")
    return value


def _one_of(value: object, choices: object, otherwise: str) -> Any:  # noqa: ANN401
    """Return what is one of the words of a Literal."""
    if value not in get_args(choices):
        raise ValueError(otherwise)
    return value


def rebuilt(header: dict[str, Any], tensors: Tensors) -> Trace:
    """Return the trace that a header describes.

    Args:
        header: see `read_header`.
        tensors: of the file.

    Raises:
        LookupError, TypeError, ValueError, OverflowError: header and tensors do not make a trace.
    """
    trace = Trace(title=header["title"])
    trace.edits = _texts(header.get("edits", []))  # which files of before do not tell
    ledger, strips = trace.ledger, header["strips"]
    n_read = None if header["n_read"] is None else _field(header, "n_read", int)
    names = dict.fromkeys((SOURCE, TARGET, *strips))
    scenes = {strip: _read_scene(said, strip, tensors) for strip, said in header.get("scenes", {}).items()}
    if unknown := set(scenes) - set(strips):
        raise ValueError(f"{len(unknown)} of its scenes belong to no strip")
    texts = {strip: Tokens(tuple(_field(strips, strip, list)), scenes.get(strip)) for strip in names}
    ledger.strips.restore(texts, header["known"], n_read)
    for i, said in enumerate(header["sites"]):
        crcs = _field(said, "crc", dict)
        arrays = {name: tensors.tensor(f"{name}.{i}") for name in crcs}
        site, store = _read_site(said, arrays)
        for name, crc in crcs.items():
            tensors.check(f"{name}.{i}", crc)
        ledger.restore(site, store, [_read_flag(*flag) for flag in _field(said, "flags", list)])
        if "terms" in said:
            book = unbooked(arrays["terms"], _field(said, "terms", list), store.n_heads, store.n_queries)
            ledger.records[site.name].book = book
    steps = [(_field(step, "token", str), _field(step, "candidates", list)) for step in header["steps"]]
    ledger.restore_steps(steps)
    if header.get("architecture") is not None:
        trace.set_architecture(Architecture.from_dict(header["architecture"]))
    trace.set_beams(Beam(*beam) for beam in _field(header, "beams", list))
    if header["status"] != "empty":
        trace.finish("complete" if header["status"] == "complete" else "stopped")
    return trace


def _texts(said: object) -> tuple[str, ...]:
    if type(said) is not list or any(type(text) is not str for text in said):
        raise ValueError("its edits are not told in words")
    return tuple(said)


def _read_scene(said: dict[str, Any], strip: str, tensors: Tensors) -> Scene:
    pixels = tensors.tensor(f"scene.{strip}")
    kind = _one_of(_field(said, "kind", str), SceneKind, "the kind of one of its scenes is unknown")
    grid, seconds = _field(said, "grid", list), said.get("seconds")
    if len(grid) != 3 or not all(type(n) is int and n >= 1 for n in grid) or _field(said, "before", int) < 0:
        raise ValueError("one of its scenes has a grid that is none")
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or 0 in pixels.shape or pixels.shape[-1] not in (1, 3):
        raise ValueError("one of its scenes has pixels that are none")
    tensors.check(f"scene.{strip}", _field(said, "crc", int))
    if type(seconds) not in (float, int, type(None)):
        raise ValueError("one of its scenes lasts no time that is one")
    return Scene(kind, pixels, (grid[0], grid[1], grid[2]), said["before"], as_seconds(seconds))


def _read_site(said: dict[str, Any], arrays: dict[str, np.ndarray]) -> tuple[Site, Store]:
    site = Site(
        _field(said, "name", str),
        _one_of(_field(said, "kind", str), Kind, "a site has an unknown kind"),
        _field(said, "layer", int),
        _field(said, "n_heads", int),
        _field(said, "query", str),
        _field(said, "key", str),
        asks=_one_of(said.get("asks", ""), Asks, "a site asks with an unknown state"),
    )
    kind = _field(said, "store", str)
    if kind not in STORES:
        raise ValueError(f"a site keeps {kind!r}, which is unknown")
    store: Store = STORES[kind].restored(arrays, _field(said, "numbers", dict))
    if [store.n_heads, store.n_queries, store.n_keys] != _field(said, "shape", list) or store.n_heads != site.n_heads:
        raise ValueError("its weights have another shape or type than it says")
    return site, store


def _read_flag(kind: object, count: Any, where: list[list[Any]]) -> Flag:  # noqa: ANN401
    places = [tuple(place) for place in where]
    numbers = [count, *(index for place in places for index in place)]
    if len(places) > MAX_PLACES or any(type(number) is not int for number in numbers):
        raise ValueError("a flag is not one")
    return Flag(_one_of(kind, FlagKind, "a flag is not one"), count, tuple((h, q, k) for h, q, k in places))
