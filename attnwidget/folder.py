"""A trace in a folder: a manifest, and files to which rows are added while the trace grows."""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attnwidget.appended import Appended
from attnwidget.disk import check_file, check_parent, check_text, unique, write_whole
from attnwidget.header import CRC, HEADER, described_steps, outlined, sealed
from attnwidget.mapped import MAX_HEADER_BYTES, MappedArrays, Place
from attnwidget.rebuild import checked_text, read_header
from attnwidget.trace import Trace

MANIFEST = "manifest.json"
_PLAIN = re.compile(r"[A-Za-z0-9_.]{1,99}\.bin")  # names of files that are this folder's own
_BEGINNING = f'{{"{HEADER}": '.encode("ascii")
_OWN = re.compile(r"[A-Za-z0-9_.]{1,40}\.[0-9a-f]{16}\.bin")  # names that `Appended` gives
_DTYPES = ("<f8", "<f4", "<f2", "<i8", "<i4", "|u1")
_MAX_AXES = 4


def check_free(path: Path) -> None:
    """Raise unless a trace may be written to a folder here.

    Raises:
        FileExistsError: there is a file, or a folder of something else.
        FileNotFoundError: the folder around it is not there.
    """
    check_parent(path)
    if path.is_dir():
        if any(path.iterdir()) and not _is_trace(path / MANIFEST):
            raise FileExistsError(f"{path} is a folder that holds something else; take another name for the trace.")
    elif path.exists():
        raise FileExistsError(
            f"{path} is a file, and a trace that is still recorded is written to a folder. Take another name, remove "
            "the file, or save the trace when it is finished."
        )


def _is_trace(manifest: Path) -> bool:
    """Tell whether this is a manifest of a trace: a link may lead to anything, and many things are called so."""
    if manifest.is_symlink() or not manifest.is_file():
        return False
    with manifest.open("rb") as file:
        return file.read(len(_BEGINNING)) == _BEGINNING


class Folder:
    """Writes a trace to a folder, each time what is new in it.

    The manifest is replaced as a whole when all that it counts is on the disk, so that whatever interrupts the writing
    leaves what was written before.

    Args:
        path: of the folder; what another trace left there goes once this one is on the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin()

    def _begin(self) -> None:
        self._arrays: dict[str, Appended] = {}
        self._texts: dict[str, Appended] = {}
        self._n_texts: dict[str, int] = {}  # how many lines of each text were given to its file
        self._named: list[set[str]] = [set(), set()]  # the files of the last two manifests
        self._manifest = b""  # what was written last

    def write(self, trace: Trace) -> None:
        """Write what is new.

        Raises:
            OSError: it could not be written; what was there before is untouched, and the next call tries again.
        """
        if self._manifest and not self._is_own():
            self._begin()
        try:
            self._write(trace)
        except FileNotFoundError:  # somebody removes what is written
            self._begin()
            self._write(trace)

    def _write(self, trace: Trace) -> None:
        self.path.mkdir(exist_ok=True)
        with trace.lock:
            header, tensors = outlined(trace, computed=False)
            growing = _growing(trace, tensors)
            tensors = {name: it if name in growing else np.array(it) for name, it in tensors.items()}
            lines = self._new_lines(trace)
        for name, array in tensors.items():
            axis, edition = growing.get(name, (None, 0))
            self._arrays.setdefault(name, Appended(self.path, name)).write(array, axis, edition)
        for name, new in lines.items():
            text = "".join(f"{json.dumps(line)}\n" for line in new).encode("ascii")
            self._texts.setdefault(name, Appended(self.path, name)).append(text)
            self._n_texts[name] = self._n_texts.get(name, 0) + len(new)
        for file in (*(self._arrays[name] for name in tensors), *self._texts.values()):
            file.sync()  # once all are written, as the first then takes most of the others along
        self._replace_manifest(header, tensors)

    def _is_own(self) -> bool:
        """Tell whether the folder is as it was left: nobody has removed it, and no other trace was written to it."""
        with contextlib.suppress(FileNotFoundError):
            return (self.path / MANIFEST).read_bytes() == self._manifest
        return False

    def _new_lines(self, trace: Trace) -> dict[str, list[Any]]:
        """Return the tokens and steps that are not in the folder yet."""
        counts, strips = self._n_texts, trace.ledger.strips.texts
        lines: dict[str, list[Any]] = {
            f"strip.{it}": texts[counts.get(f"strip.{it}", 0) :] for it, texts in strips.items()
        }
        lines["steps"] = described_steps(trace, range(counts.get("steps", 0), len(trace.ledger.steps)))
        return lines

    def _replace_manifest(self, header: dict[str, Any], tensors: Iterable[str]) -> None:
        own = {name: self._arrays[name] for name in tensors}
        parts = {"arrays": {name: it.said() for name, it in own.items()}}
        parts["texts"] = {name: it.said() | {"crc": it.crc} for name, it in self._texts.items()}
        text = sealed(header | parts, {name: it.crc for name, it in own.items()})
        manifest = {HEADER: text, CRC: str(zlib.crc32(text.encode("ascii")))}
        data = json.dumps(manifest).encode("ascii")
        write_whole(self.path / MANIFEST, data)
        self._manifest = data
        named = {said["file"] for both in parts.values() for said in both.values()}
        if named != self._named[1]:
            self._named = [self._named[1], named]
            self._remove_others()

    def _remove_others(self) -> None:
        """Remove what neither this manifest names nor the one before, which somebody may be reading."""
        for file in self.path.iterdir():
            if _OWN.fullmatch(file.name) and file.name not in set().union(*self._named):
                with contextlib.suppress(OSError):  # somebody has it open, on a system that minds
                    file.unlink()


def _growing(trace: Trace, tensors: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return of each tensor that grows along which axis, and how often what was there was written over."""
    stores = [record.store for record in trace.ledger.records.values()]
    found = {}
    for tensor in tensors:
        name, _, place = tensor.rpartition(".")
        store = stores[int(place)] if name != "scene" else None
        if store is not None and name in store.grows:
            found[tensor] = store.grows[name], store.n_rewritten
    return found


def folder_parts(path: Path, *, verify: bool) -> tuple[dict[str, Any], MappedArrays]:
    """Return the header of a trace in a folder, and its arrays.

    Raises:
        FileNotFoundError: a file is not there; perhaps a writer has replaced it just now.
        LookupError, TypeError, ValueError, RecursionError: the folder holds none, or not a whole one.
    """
    if not (path / MANIFEST).exists():
        raise ValueError(f"it is a folder without a {MANIFEST}, a trace was expected")
    check_file(path / MANIFEST, 2)
    with (path / MANIFEST).open("rb") as file:
        data = file.read(MAX_HEADER_BYTES + 1)
    if len(data) > MAX_HEADER_BYTES:
        raise ValueError(f"its {MANIFEST} has more than {MAX_HEADER_BYTES} bytes")
    check_text(data)
    header = read_header(checked_text(json.loads(data, object_pairs_hook=unique)))
    arrays = {name: _place(path, said) for name, said in header["arrays"].items()}
    places = {name: _place(path, said) for name, said in header["texts"].items()}
    if sum(place.n_bytes for place in places.values()) > MAX_HEADER_BYTES:
        raise ValueError(f"its tokens and steps have more than {MAX_HEADER_BYTES} bytes")
    lines = {name: _read_text(place, header["texts"][name]["crc"]) for name, place in places.items()}
    check_text(data, *lines.values())
    texts = {name: json.loads(text, object_pairs_hook=unique) for name, text in lines.items()}
    header["steps"] = texts.pop("steps")
    header["strips"] = {name.removeprefix("strip."): lines for name, lines in texts.items()}
    return header, MappedArrays(arrays, verify=verify)


def _place(path: Path, said: Mapping[str, Any]) -> Place:
    """Return where an array is, as far as a manifest can be believed."""
    file, shape, axis, width = said["file"], said["shape"], said["axis"], said["width"]
    numbers = [*shape, axis, *([] if width is None else [width])]
    if said["dtype"] not in _DTYPES or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("its arrays have another shape or type than it says")
    if not 1 <= len(shape) <= _MAX_AXES or axis >= len(shape) or (width or 0) > shape[-1]:
        raise ValueError("its arrays have another shape or type than it says")
    place = Place(path / file, 0, said["dtype"], tuple(shape), width, axis)
    if place.n_bytes:
        if not _PLAIN.fullmatch(file):
            raise ValueError("one of its files has a name that is none")
        check_file(place.file, place.n_bytes)
    return place


def _read_text(place: Place, crc: int) -> bytes:
    data = place.read() if place.n_bytes else b""
    if zlib.crc32(data) != crc:
        raise ValueError("its tokens are not the ones that were written")
    return b"[" + data.rstrip().replace(b"\n", b",") + b"]"
