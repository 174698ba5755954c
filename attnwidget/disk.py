"""Files that are there whole or not at all, and what is said of those that are none."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class TraceError(ValueError):
    """A file that is no trace, not a whole one, or of a version that this package does not read; or one not written."""


class WriteError(TraceError, OSError):
    """A trace that could not be written: the disk is full, or the system refused."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the name of a file to write, which takes the place of another once the block ends and it is on the disk.

    Raises:
        OSError: the file could not be written; what was there before is untouched.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder, the name of a file was expected.")
    check_parent(target)
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OSError: the file could not be written; what was there before is untouched.
    """
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(data)


def check_parent(target: Path) -> None:
    """Raise FileNotFoundError unless the folder is there in which something is to be written."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist; make it first.")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, in which no name may stand twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field of its header stands twice")
    return found
