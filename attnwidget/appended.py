"""A file to which rows of an array are added; where what is there does not stay, another file takes its place."""

from __future__ import annotations

import math
import os
import re
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from attnwidget.stores.stack import ByQuery, Stack

_CHUNK_BYTES = 4 << 20  # that are copied at once
_ROOM = 1.5  # by which rows are made longer than they need to be, once they have grown


class Appended:
    """An array in a folder.

    Args:
        folder: where its file is.
        name: of the array.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._label = folder, re.sub(r"[^A-Za-z0-9_.]", "_", name)[:40]
        self._file, self._n_bytes, self.crc = "", 0, 0
        self._dtype, self._n_rows, self._edition, self._axis = np.dtype("|u1"), 0, 0, 0
        self._row: tuple[int, ...] = ()  # the shape of a row in the file, whose last axis may have free room behind
        self._width: int | None = None
        self._is_new = False  # whether something was added since the last `sync`

    def said(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return {
            "file": self._file,
            "dtype": self._dtype.str,
            "shape": [self._n_rows, *self._row],
            "width": self._width,
            "axis": self._axis,
        }

    def write(self, array: np.ndarray | Stack, axis: int | None, edition: int) -> None:
        """Add the rows that are new, or all if others have changed.

        Args:
            array: all that there is by now.
            axis: along which it grows while what is there stays; None if it does not.
            edition: another number than before where what was there did not stay.

        Raises:
            OSError: it could not be written; what the last manifest counts is untouched.
        """
        dtype = array.dtype.newbyteorder("<")
        rows = array.by_query() if isinstance(array, Stack) else np.moveaxis(array, axis or 0, 0)
        shape, is_other = rows.shape[1:], (dtype, edition) != (self._dtype, self._edition)
        if axis is None:
            is_other |= rows.shape != (self._n_rows, *self._row) or _crc(rows[:], dtype) != self.crc
        elif len(shape) != len(self._row) or len(rows) < self._n_rows:
            is_other = True
        if is_other or any(need > have for need, have in zip(shape, self._row, strict=False)):
            self._begin(dtype, shape, grown=not is_other and shape[:-1] == self._row[:-1])
        self._edition, self._axis = edition, axis or 0
        self._width = shape[-1] if shape else None
        if self._n_rows < len(rows):
            with self._opened() as file:
                for chunk in _chunks(rows, self._n_rows, dtype, self._row):
                    file.write(chunk.data)
                    file.flush()
                    self._count(chunk.data, len(chunk))

    def append(self, text: bytes) -> None:
        """Add bytes.

        Raises:
            OSError: they could not be written.
        """
        if text:
            with self._opened() as file:
                file.write(text)
            self._count(memoryview(text), len(text))

    def sync(self) -> None:
        """Have what was added be on the disk, whatever happens.

        Raises:
            OSError: it is not.
        """
        if self._is_new:
            with (self._folder / self._file).open("rb+") as file:
                os.fsync(file.fileno())
            self._is_new = False

    def _begin(self, dtype: np.dtype[Any], shape: tuple[int, ...], *, grown: bool) -> None:
        room = int(self._row[-1] * _ROOM) if grown else 0
        self._file, self._n_bytes, self.crc, self._n_rows, self._dtype = "", 0, 0, 0, dtype
        self._row = (*shape[:-1], max(shape[-1], room)) if shape else ()

    def _opened(self) -> BinaryIO:
        """Open the file behind what is counted of it: more may be there if writing has failed before."""
        if not self._file:
            self._file = f"{self._label}.{uuid.uuid4().hex[:16]}.bin"
            return (self._folder / self._file).open("xb")
        file = (self._folder / self._file).open("rb+")
        file.seek(self._n_bytes)
        return file

    def _count(self, data: memoryview, n_rows: int) -> None:
        self.crc, self._n_rows = zlib.crc32(data, self.crc), self._n_rows + n_rows
        self._n_bytes, self._is_new = self._n_bytes + data.nbytes, True


def _chunks(rows: np.ndarray | ByQuery, first: int, dtype: np.dtype[Any], row: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield copies of rows from `first` on with their free room behind them."""
    height = max(1, _CHUNK_BYTES // max(1, math.prod(row) * dtype.itemsize))
    for start in range(first, len(rows), height):
        part = rows[start : start + height]
        chunk = np.zeros((len(part), *row), dtype)
        chunk[tuple(slice(n) for n in part.shape)] = part
        yield chunk


def _crc(rows: np.ndarray, dtype: np.dtype[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(rows, dtype).data)
