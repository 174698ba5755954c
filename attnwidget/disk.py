"""Files that are there whole or not at all, and what is said of those that are none."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_TEXT_COST = 240 << 20  # bytes of memory that the text of a trace may come to


class TraceError(ValueError):
    """A file that is no trace, not a whole one, or of a version that this package does not read; or one not written."""


class WriteError(OSError, TraceError):
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


def check_file(path: Path, n_bytes: int = 0) -> None:
    """Raise ValueError unless there is a plain file of at least so many bytes.

    Raises:
        FileNotFoundError: no such file.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"one of its files cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a plain file, or one of its files is none")
    if found.st_size < n_bytes:
        raise ValueError(f"it was cut short: {n_bytes - found.st_size} bytes of an array are not there")


def check_text(*texts: bytes) -> None:
    """Raise ValueError if texts of JSON would take more memory than those of any trace, before they are read.

    Room is for 100,000 steps with five candidates each.
    """
    costs = {b"[": 64, b"{": 64, b",": 32, b'"': 48}  # at least, of an array, an object, a number and half a string
    cost = sum(3 * len(text) + sum(text.count(sign) * each for sign, each in costs.items()) for text in texts)
    if cost > MAX_TEXT_COST:
        raise ValueError(
            f"its tokens and steps need {cost >> 20} MB of memory, at most {MAX_TEXT_COST >> 20} were expected"
        )


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, in which no name may stand twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field of its header stands twice")
    return found
