"""Change the code in small ways, a change at a time, and say which changes no test notices.

Reads ONLY (some of the files, else all), SAMPLE (so many changes of each file, chosen at random, else all), SEED (of
that choice, else 1) and JOBS (so many tests beside each other, else as many as there are processors).
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bootstrap import install_group
from stamps import ROOT

WORK = ROOT / "build" / "mutants"
LOG = WORK / "log"
ROOMS = {  # which tests concern which files
    ("trace", "ledger", "checks", "strips", "beams", "tokens"): (
        *("checks", "ledger", "strips", "tokens", "trace", "trace_beams", "trace_reading", "trace_stores"),
        *("trace_strips", "stores", "file", "analysis", "terms", "scenes", "pictures"),
    ),
    ("file", "mapped", "booked", "rebuild", "header", "disk"): (
        *("disk", "header", "mapped", "file", "file_checks", "file_growing", "file_hostile", "file_mapped"),
        *("file_stores", "file_terms", "scenes"),
    ),
    ("folder", "appended", "follower"): ("appended", "follower", "folder", "file_hostile", "file_growing"),
    ("wire/",): (
        *("wire_codec", "wire_files", "wire_fit", "wire_heads", "wire_live", "wire_parts", "answers"),
        *("wire_compressed", "sweep", "stream", "stream_faults", "widget", "widget_stream", "terms", "heads", "export"),
    ),
    ("stream", "answers", "pace"): (
        *("pace", "stream", "stream_faults", "stream_rounds", "answers", "widget_stream", "sweep"),
    ),
    ("figure/text", "figure/svg", "export", "base124"): (
        *("base124", "export", "figure", "figure_svg", "figure_text"),
    ),
}
CAUGHT, SURVIVED, UNTESTED = (1, 3), 0, 33  # what the exit codes of mutmut mean; others are time limits, also noticed
CONFIG = """\
[tool.mutmut]
source_paths = ["attnwidget"]
only_mutate = {files}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = [
  "-x", "-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "quickest",
  "-m", "not browser and not slow", "-k", "not fuzzer",
]
also_copy = ["scripts", "package.json", "docs", "js"]
use_git_change_detection = false
process_isolation = "forkserver"
timeout_multiplier = 0.4
timeout_constant = 40.0
"""


Row = tuple[Path, int, int, int]  # a file, how many changes there are, were tried, and were noticed


def main(only: list[str], sample: int, seed: str) -> int:
    """Mutate some files, or all that ROOMS names, and print what survived."""
    install_group("mutants")
    table: list[Row] = []
    for names, tests in ROOMS.items():
        files = [file for file in files_of(names) if not only or str(file) in only]
        if files:
            prepare(files, [f"tests/unit/test_{name}.py" for name in tests])
            chosen = chosen_of(files, sample, seed) if sample else []
            if chosen or not sample:
                mutmut(*chosen)
            table += [outcome(file, chosen if sample else None) for file in files]
    print("\n{:<36} {:>8} {:>8} {:>8} {:>8}".format("file", "changes", "tried", "caught", "share"))
    for file, n, n_tried, n_caught in (row for row in table if row[1]):
        print(f"{file!s:<36} {n:>8} {n_tried:>8} {n_caught:>8} {n_caught / max(n_tried, 1):>8.0%}")
    n_tried, n_caught = sum(row[2] for row in table), sum(row[3] for row in table)
    print(f"{n_caught} of {n_tried} changes were noticed ({n_caught / max(n_tried, 1):.0%})", flush=True)
    return 0


def files_of(names: tuple[str, ...]) -> list[Path]:
    """Return the files of a room, relative to the project."""
    package = ROOT / "attnwidget"
    found = [package / f"{name}.py" for name in names if not name.endswith("/")]
    found += [file for name in names if name.endswith("/") for file in sorted((package / name).glob("*.py"))]
    return [file.relative_to(ROOT) for file in found]


def prepare(files: list[Path], tests: list[str]) -> None:
    """Copy what mutmut needs of the project."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    for name in ("attnwidget", "tests", "scripts", "docs"):
        shutil.copytree(ROOT / name, WORK / name, ignore=shutil.ignore_patterns("__pycache__"))
    (WORK / "mutants").mkdir()
    (WORK / "js").mkdir()
    shutil.copytree(ROOT / "js" / "src", WORK / "js" / "src")
    shutil.copy(ROOT / "package.json", WORK)
    options = (ROOT / "pyproject.toml").read_text("utf-8").partition("[tool.pytest.ini_options]")
    there = [test for test in tests if (ROOT / test).is_file()]
    config = CONFIG.format(files=json.dumps([str(file) for file in files]), tests=json.dumps(there))
    (WORK / "pyproject.toml").write_text(config + "\n" + "".join(options[1:]), "utf-8")
    print(f"{len(files)} files, what mutmut says stands in {os.path.relpath(LOG, ROOT)}", flush=True)


def mutmut(*names: str, may_fail: bool = False) -> None:
    """Try the changes of these names, or all."""
    jobs = os.environ.get("JOBS") or str(os.cpu_count() or 1)
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", jobs, *names]
    # Programs that tests start see the changes too, and threads of torch do not wait for each other in a fork.
    paths = [WORK / "mutants", WORK / "scripts", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
        "OMP_NUM_THREADS": "1",
        "PATIENCE": "4",
    }
    with LOG.open("wb") as file:
        code = subprocess.run(command, cwd=WORK, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env).returncode
    if code and not may_fail:
        last = LOG.read_bytes()[-3000:].decode("utf-8", "replace")
        sys.exit(f"{last}\nmutmut ended with code {code}; the lines above say why.")


def chosen_of(files: list[Path], sample: int, seed: str) -> list[str]:
    """Return the names of some changes of each file, chosen at random."""
    mutmut("no.such.change", may_fail=True)  # it makes all changes before it looks for those of a name
    if not (WORK / "mutants" / "mutmut-stats.json").is_file():
        sys.exit(f"{LOG.read_bytes()[-3000:].decode('utf-8', 'replace')}\nmutmut failed; the lines above say why.")
    chosen: list[str] = []
    for file in files:
        names = sorted(codes_of(file))
        chosen += random.Random(f"{seed} {file}").sample(names, min(sample, len(names)))
    return chosen


def codes_of(file: Path) -> dict[str, int | None]:
    """Return what came of each change of a file."""
    meta = WORK / "mutants" / f"{file}.meta"
    codes: dict[str, int | None] = json.loads(meta.read_text("utf-8"))["exit_code_by_key"] if meta.is_file() else {}
    return codes


def outcome(file: Path, chosen: list[str] | None) -> Row:
    """Print the changes of a file that nothing noticed, of those that were chosen or of all."""
    codes = codes_of(file)
    tried = [name for name in codes if chosen is None or name in chosen]
    lost = [name for name in tried if codes[name] in (SURVIVED, UNTESTED, None)]
    if lost:
        print(f"\n{file}", flush=True)
        functions = dict(functions_in(WORK / "mutants" / file))
        for name in lost:
            print(f"  {change(name.rpartition('.')[2], functions)}{' (untested)' if codes[name] else ''}")
    return file, len(codes), len(tried), len(tried) - len(lost)


def functions_in(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each function that mutmut wrote."""
    text = file.read_text("utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, "\n".join(lines[node.lineno - 1 : node.end_lineno])


def change(name: str, functions: dict[str, str]) -> str:
    """Return a change on one line."""
    function = name.partition("__mutmut_")[0]
    before, after = (
        functions.get(it, "").replace(it, function).splitlines() for it in (f"{function}__mutmut_orig", name)
    )
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    told = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return f"{function.removeprefix('x')}: " + "  ".join(f"{line[0]} {line[1:].strip()}" for line in told)[:300]


if __name__ == "__main__":
    asked = os.environ.get
    sys.exit(main(asked("ONLY", "").split(), int(asked("SAMPLE") or 0), asked("SEED") or "1"))
