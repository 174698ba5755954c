"""Remember which inputs a step last succeeded with, so that it is not done again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAMPS = ROOT / "build" / "stamps"


def digest(files: Iterable[Path], *words: str) -> str:
    """Return one hash over the names and bytes of files, and over the words.

    Args:
        files: files inside the project; a missing one counts as empty.
        words: anything else that the step depends on.
    """
    sha = hashlib.sha256("\0".join(words).encode())
    for file in sorted(files):
        content = file.read_bytes() if file.is_file() else b""
        sha.update(f"\0{file.relative_to(ROOT)}\0{len(content)}\0".encode())
        sha.update(content)
    return sha.hexdigest()


def fresh(stamp: Path, key: str) -> bool:
    """Return whether the step behind this stamp last succeeded with the same key."""
    return stamp.is_file() and stamp.read_text() == key


def write(stamp: Path, key: str) -> None:
    """Note that the step behind this stamp succeeded with this key."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)
