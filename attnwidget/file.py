"""Save and load a trace: one safetensors file, written whole or not at all, or a folder that grows with its trace."""

from __future__ import annotations

import contextlib
import gc
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from attnwidget.disk import TraceError, WriteError, check_file, check_text, replacing
from attnwidget.folder import MANIFEST, Folder, check_free, folder_parts
from attnwidget.follower import Follower, followers
from attnwidget.header import CRC, HEADER, described, sealed
from attnwidget.mapped import MappedArrays, check_header, places_of
from attnwidget.rebuild import checked_text, read_header, rebuilt
from attnwidget.trace import Trace

_PATIENCE = 5  # times that a reader begins anew where a writer may have replaced files meanwhile
_UNFIT = (LookupError, TypeError, ValueError, RecursionError, OverflowError, AttributeError, MemoryError)

__all__ = ["TraceError", "WriteError", "load", "save"]


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace to a disk.

    A finished trace becomes one safetensors file: its metadata hold one JSON header under "attnwidget" and its CRC-32,
    its tensors are what the stores of the sites hold, as "name.i" for site i: "weights", little-endian float32 [head,
    query, key], or the queries, keys and ranges that give them, or the largest and their places. An existing file is
    replaced only once the new one is whole on the disk.

    A trace that is empty or still recorded becomes a folder, which is valid when this function returns and from then on
    follows the trace, a few times a second in a thread of its own, until the trace is finished. Whatever ends the
    program, the folder holds the steps that were written. A disk that is full is warned of at once; the recording goes
    on, and `Trace.finish` raises the error unless the rest could be written by then. Where several processes record,
    each needs a path of its own.

    Args:
        trace: what to write.
        path: where to, by custom with the ending ".attn".

    Raises:
        FileExistsError: a folder is to be written where a file is, or where a folder holds something else.
        TraceError: it could not be written, or has more tokens, steps and candidates than `load` takes: about 100,000
            steps with five candidates each. It is an OSError too; what was there before is untouched.
    """
    target = Path(path).resolve()
    try:
        if trace.status in ("empty", "recording") or (target / MANIFEST).is_file():
            _save_folder(trace, target)
        else:
            _save_file(trace, target)
    except OSError as error:
        if error.errno is None or isinstance(error, WriteError):
            raise
        raise WriteError(error.errno, f"the trace was not written: {error.strerror}", str(target)) from error


def _save_folder(trace: Trace, target: Path) -> None:
    follower = followers(trace).get(target)
    if follower is not None:
        follower.write(trace)
        return
    check_free(target)
    follower = Follower(Folder(target))
    follower.write(trace)
    followers(trace)[target] = follower
    if trace.status in ("empty", "recording"):
        trace.observe(follower, follower.end)


def _save_file(trace: Trace, target: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    header, tensors = described(trace)
    plain = {name: np.asarray(it, it.dtype.newbyteorder("<"), order="C") for name, it in tensors.items()}
    text = sealed(header, {name: zlib.crc32(it.data) for name, it in plain.items()})
    try:
        check_text(text.encode())
    except ValueError as error:
        raise WriteError(f"the trace was not written to {target}: {error}") from error
    with replacing(target) as temporary:
        try:
            save_file(plain, temporary, {HEADER: text, CRC: str(zlib.crc32(text.encode()))})
        except SafetensorError as error:
            raise WriteError(f"the trace was not written to {target}: {error}") from error


def load(path: str | os.PathLike[str], *, verify: bool = False) -> Trace:
    """Read a trace that `Trace.save` wrote.

    What is small is read and held against its checksums: 32 MB, the smallest arrays first. What is larger is mapped and
    read when it is looked at, so that a trace of many GB opens at once and takes no memory; what was written must then
    stay as it is while the trace is used. `save` itself never changes what was written, it only replaces and adds.

    Args:
        path: the file, or the folder of a trace that is or was followed: as far as it was written by now.
        verify: read all and hold all of it against its checksums, which takes about a second a GB.

    Raises:
        FileNotFoundError: no such file.
        TraceError: not a trace, cut short, changed since it was written, or of a newer version; or one whose tokens
            and steps would take more memory than those of any trace that was saved.
    """
    from safetensors import SafetensorError

    place = Path(path)
    try:
        with _no_collection():
            return _loaded(place, verify=verify)
    except SafetensorError as error:
        raise TraceError(
            f"{os.fspath(path)} is not a whole trace file ({error}). It was cut short, or something else wrote it; "
            "arrays of weights become a trace with Trace.from_weights."
        ) from error
    except _UNFIT as error:
        raise TraceError(f"{os.fspath(path)} is not a trace of this version: {error}") from error


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Look for no garbage: of a hundred thousand steps none is, and looking takes most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _loaded(path: Path, *, verify: bool) -> Trace:
    if not path.is_dir():
        header, arrays = _file_parts(path, verify=verify)
        return rebuilt(header, arrays)
    for _ in range(_PATIENCE):
        with contextlib.suppress(FileNotFoundError):
            header, arrays = folder_parts(path, verify=verify)
            return rebuilt(header, arrays)
        time.sleep(0.05)
    raise ValueError("one of the files that its manifest names is not there")


def _file_parts(path: Path, *, verify: bool) -> tuple[dict[str, Any], MappedArrays]:
    from safetensors import safe_open

    check_file(path)
    check_header(path)
    with safe_open(os.fspath(path), framework="np") as file:
        header = read_header(checked_text(file.metadata() or {}))
    return header, MappedArrays(places_of(path), verify=verify)
