"""Change the code in small ways, a change at a time, and say which changes no test notices: `mutants.py FILE ...`."""

from __future__ import annotations

import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bootstrap import install_group
from stamps import ROOT

WORK = ROOT / "build" / "mutants"
ROOMS = {  # which tests concern which files
    ("trace", "ledger", "checks", "strips", "beams", "tokens"): (
        *("checks", "ledger", "strips", "tokens", "trace", "trace_beams", "trace_reading", "trace_stores"),
        *("trace_strips", "stores", "file", "analysis", "terms"),
    ),
    ("file", "mapped", "booked", "rebuild", "header", "disk"): (
        *("disk", "header", "mapped", "file", "file_checks", "file_growing", "file_hostile", "file_mapped"),
        *("file_stores", "file_terms", "scenes"),
    ),
    ("folder", "appended", "follower"): ("file_hostile", "file_growing"),
    ("wire/",): (
        *("wire_codec", "wire_files", "wire_fit", "wire_heads", "wire_live", "answers", "blocks", "sweep", "stream"),
        *("stream_faults", "widget", "widget_stream", "terms", "heads"),
    ),
    ("stream", "answers", "pace"): (
        *("pace", "stream", "stream_faults", "stream_rounds", "answers", "widget_stream", "sweep"),
    ),
    ("figure/text", "export", "base124"): ("base124", "export", "figure", "figure_text"),
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


def main(only: list[str]) -> int:
    """Mutate some files, or all that ROOMS names, and print what survived."""
    install_group("mutants")
    table: list[tuple[Path, int, int]] = []
    for names, tests in ROOMS.items():
        files = [file for file in files_of(names) if not only or str(file) in only]
        if files:
            mutate(files, [f"tests/unit/test_{name}.py" for name in tests])
            table += [outcome(file) for file in files]
    print("\n{:<36} {:>8} {:>8} {:>8}".format("file", "changes", "caught", "share"))
    for file, n, n_caught in table:
        print(f"{file!s:<36} {n:>8} {n_caught:>8} {n_caught / max(n, 1):>8.0%}")
    n, n_caught = sum(row[1] for row in table), sum(row[2] for row in table)
    print(f"{n_caught} of {n} changes were noticed ({n_caught / max(n, 1):.0%})", flush=True)
    return 0


def files_of(names: tuple[str, ...]) -> list[Path]:
    """Return the files of a room, relative to the project."""
    package = ROOT / "attnwidget"
    found = [package / f"{name}.py" for name in names if not name.endswith("/")]
    found += [file for name in names if name.endswith("/") for file in sorted((package / name).glob("*.py"))]
    return [file.relative_to(ROOT) for file in found]


def mutate(files: list[Path], tests: list[str]) -> None:
    """Run mutmut in a copy of the project."""
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
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(os.cpu_count() or 1)]
    # Programs that tests start see the changes too, and threads of torch do not wait for each other in a fork.
    paths = [WORK / "mutants", WORK / "scripts", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
        "OMP_NUM_THREADS": "1",
        "PATIENCE": "4",
    }
    log = WORK / "log"
    print(f"{len(files)} files, what mutmut says stands in {os.path.relpath(log, ROOT)}", flush=True)
    with log.open("wb") as file:
        code = subprocess.run(command, cwd=WORK, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env).returncode
    if code:
        last = log.read_bytes()[-3000:].decode("utf-8", "replace")
        sys.exit(f"{last}\nmutmut ended with code {code}; the lines above say why.")


def outcome(file: Path) -> tuple[Path, int, int]:
    """Print the changes of a file that nothing noticed; return how many there were, and how many were noticed."""
    mutated = WORK / "mutants" / file
    meta = mutated.with_name(f"{file.name}.meta")
    codes = json.loads(meta.read_text("utf-8"))["exit_code_by_key"] if meta.is_file() else {}
    lost = [name for name, code in codes.items() if code in (SURVIVED, UNTESTED, None)]
    if lost:
        print(f"\n{file}", flush=True)
        functions = dict(functions_in(mutated))
        for name in lost:
            print(f"  {change(name.rpartition('.')[2], functions)}{' (untested)' if codes[name] else ''}")
    return file, len(codes), len(codes) - len(lost)


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
    before, after = functions.get(f"{function}__mutmut_orig", ""), functions.get(name, "")
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    told = [line for line in lines if not line.startswith(("---", "+++", "@@")) and "__mutmut_" not in line]
    return f"{function.removeprefix('x')}: " + "  ".join(f"{line[0]} {line[1:].strip()}" for line in told)[:300]


if __name__ == "__main__":
    sys.exit(main(os.environ.get("ONLY", "").split()))
