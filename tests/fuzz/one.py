"""Fuzz one target: `one.py NAME RUNS FOLDER`, where inputs that were worth keeping are in FOLDER, and are added to.

`one.py` alone runs each target on what tests/fuzz/corpus holds for it.
"""

from __future__ import annotations

import random
import sys
import time
import warnings
from pathlib import Path


def main(name: str, runs: int, folder: Path) -> None:
    """Run a target, guided by coverage where atheris serves this Python, else with random bytes."""
    warnings.simplefilter("ignore")
    try:
        import atheris
    except ImportError:
        _unguided(name, runs)
        return
    with atheris.instrument_imports(include=["attnwidget"]):
        import targets
    target = targets.TARGETS[name]
    target.run(b"")
    options = [f"-runs={runs}", f"-max_len={target.size}", "-timeout=10", "-rss_limit_mb=2048", "-len_control=0"]
    options += [f"-artifact_prefix={folder.parent}/{name}-", "-print_final_stats=1", "-close_fd_mask=0", str(folder)]
    atheris.Setup([sys.argv[0], *options], target.run)
    try:
        atheris.Fuzz()
    finally:
        targets.leave()


def _unguided(name: str, runs: int) -> None:
    import targets

    target, source, began = targets.TARGETS[name], random.Random(name), time.monotonic()
    data = b""
    try:
        for _ in range(runs):
            data = source.randbytes(source.randrange(target.size))
            target.run(data)
    except BaseException:
        sys.stderr.write(f"input: {data!r}\n")
        raise
    finally:
        targets.leave()
    sys.stderr.write(f"#{runs} DONE after {time.monotonic() - began:.0f} s, guided by nothing\n")


def replay() -> None:
    """Run each target on its inputs."""
    warnings.simplefilter("ignore")
    import targets

    try:
        for name, target in targets.TARGETS.items():
            target.run(b"")
            for file in sorted((Path(__file__).parent / "corpus" / name).glob("*")):
                target.run(file.read_bytes())
    finally:
        targets.leave()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    replay() if len(sys.argv) == 1 else main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
