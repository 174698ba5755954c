"""Arrays on a disk: small ones are read and held against checksums, large ones are mapped and read when needed."""

from __future__ import annotations

import json
import math
import mmap
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attnwidget.disk import check_text, unique

READ_BYTES = 32 << 20  # of arrays, the smallest first, that are read when a trace is opened
MAX_HEADER_BYTES = 100_000_000  # as safetensors has it
MAX_TENSORS = 100_000
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}


@dataclass(frozen=True)
class Place:
    """Where an array is on the disk.

    Args:
        file: its path.
        offset: its first byte.
        dtype: of its numbers, as numpy names it.
        shape: as its numbers follow each other.
        width: how many numbers of the last axis are its own, where others were left free behind them.
        axis: which axis of the array the first one on the disk is.
    """

    file: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]
    width: int | None = None
    axis: int = 0

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def read(self) -> bytes:
        """Return its bytes.

        Raises:
            ValueError: the file has fewer.
        """
        with self.file.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.n_bytes)
        if len(data) < self.n_bytes:
            raise ValueError(f"it was cut short: {self.n_bytes - len(data)} bytes of an array are not there")
        return data


class MappedArrays:
    """Arrays by name, read-only.

    Args:
        places: where they are.
        verify: whether all are read and held against their checksums, however large they are.

    Raises:
        ValueError: a file is shorter than its arrays.
    """

    def __init__(self, places: Mapping[str, Place], *, verify: bool = False) -> None:
        self._places, self._verify = places, verify
        self._files: dict[Path, mmap.mmap] = {}
        self._crcs: dict[str, int] = {}  # of arrays that were read
        self._read: set[str] = set()
        budget = sum(place.n_bytes for place in places.values()) if verify else READ_BYTES
        for name, place in sorted(places.items(), key=lambda item: item[1].n_bytes):
            budget -= place.n_bytes
            if budget >= 0:
                self._read.add(name)

    def tensor(self, name: str) -> np.ndarray:
        """Return an array.

        Raises:
            ValueError: there is none of this name, or its file is too short.
        """
        if name not in self._places:
            raise ValueError("one of its arrays is not there")
        place = self._places[name]
        array = self._whole(name, place) if place.n_bytes else _read_only(np.zeros(place.shape, place.dtype))
        return np.moveaxis(array[..., : place.width], 0, place.axis)

    def check(self, name: str, crc: object) -> None:
        """Raise ValueError if an array was read, and is not the one that was written."""
        if self._crcs.get(name, crc) != crc:
            raise ValueError("its weights are not the ones that were written")

    def _whole(self, name: str, place: Place) -> np.ndarray:
        read = name in self._read
        data = place.read() if read and not self._verify else self._mapping(place.file)
        offset, count = 0 if isinstance(data, bytes) else place.offset, math.prod(place.shape)
        array = np.frombuffer(data, place.dtype, count, offset).reshape(place.shape)
        if read:
            self._crcs[name] = zlib.crc32(array.data)
        return array

    def _mapping(self, path: Path) -> mmap.mmap:
        if path not in self._files:
            with path.open("rb") as file:
                self._files[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._files[path]


def check_header(path: Path) -> None:
    """Raise ValueError if a safetensors file says more than any trace, before anything is made of that."""
    _, text = _header_of(path)
    count = text.count(b'"data_offsets"')
    if count > MAX_TENSORS:
        raise ValueError(f"it has {count} tensors, at most {MAX_TENSORS} were expected")
    check_text(text)


def places_of(path: Path) -> dict[str, Place]:
    """Return where the tensors of a safetensors file are, whose header was checked by its library.

    Raises:
        ValueError: a type that no trace holds, or a name that stands twice.
    """
    start, text = _header_of(path)
    header = json.loads(text, object_pairs_hook=unique)
    header.pop("__metadata__", None)
    for said in header.values():
        if said["dtype"] not in _DTYPES:
            raise ValueError(f"its arrays hold {said['dtype']}, another shape or type than it says")
    return {
        name: Place(path, start + said["data_offsets"][0], _DTYPES[said["dtype"]], tuple(said["shape"]))
        for name, said in header.items()
    }


def _header_of(path: Path) -> tuple[int, bytes]:
    """Return where the data of a safetensors file begin, and what stands before them."""
    with path.open("rb") as file:
        n_bytes = int.from_bytes(file.read(8), "little")
        return 8 + n_bytes, file.read(min(n_bytes, MAX_HEADER_BYTES))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
