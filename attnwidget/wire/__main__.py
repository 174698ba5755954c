"""`python -m attnwidget.wire` writes the TypeScript and the documentation of the wire; `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from attnwidget.wire.generate import markdown, typescript

ROOT = Path(__file__).parents[2]
WRITTEN = {ROOT / "js/src/wire.gen.ts": typescript, ROOT / "docs/wire.md": markdown}


def main() -> int:
    """Write the files, or say which are stale; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m attnwidget.wire", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    check = parser.parse_args().check
    stale = [path for path, make in WRITTEN.items() if not path.exists() or path.read_text("utf-8") != make()]
    for path in stale:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(WRITTEN[path](), "utf-8")
        sys.stdout.write(f"{'stale' if check else 'wrote'} {path.relative_to(ROOT)}\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
