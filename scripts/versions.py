"""Test the widget with oldest and newest versions of what it stands on, each combination in an environment of its own.

Prints a table. torch is left out: the widget does not need it. A Python that is not installed is named and left out.
Environments stay in build/versions, so that a second run is quick; `make clean` removes them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stamps import ROOT, digest, fresh, write

FOLDER = ROOT / "build" / "versions"
CONSTRAINTS = ROOT / "constraints.txt"
NEEDED = ("ipykernel", "jupyterlab", "nbclient", "nbformat", "playwright", "pytest")
TESTS = (
    "tests/unit/test_widget.py",
    "tests/unit/test_widget_stream.py",
    "tests/browser/test_lab_stream.py::test_the_picture_grows_while_the_cell_runs",
    "tests/browser/test_lab_stream.py::test_a_step_chosen_while_the_cell_runs_stays_chosen",
)

REQUIRED = """
from importlib.metadata import requires
for line in requires("attnwidget"):
    if "extra ==" not in line and not line.startswith("torch"):
        print(line)
"""


@dataclass(frozen=True)
class Combination:
    """A Python, and versions of packages that differ from those in constraints.txt."""

    minor: int
    packages: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of its folder."""
        return "-".join([f"python3.{self.minor}", *self.packages]).replace("==", "-")


COMBINATIONS = (
    Combination(10, ("anywidget==0.9.13", "ipykernel==6.29.0", "ipywidgets==8.0.7")),
    Combination(11, ("anywidget==0.9.13",)),
    Combination(12, ("ipykernel==6.31.0",)),
    Combination(13),
)


def main() -> int:
    """Test every combination, whatever fails on the way; words on the command line choose some by their names."""
    chosen = [one for one in COMBINATIONS if all(word in one.name for word in sys.argv[1:])]
    rows = [(one.name, tested(one)) for one in chosen]
    print("\n| combination | outcome |\n| --- | --- |")
    for name, outcome in rows:
        print(f"| {name} | {outcome} |")
    return int(any("failed" in outcome for _, outcome in rows))


def tested(one: Combination) -> str:
    """Return how the tests went, in a few words."""
    python = found(one.minor)
    if python is None:
        return f"not run: no Python 3.{one.minor} here"
    folder = FOLDER / one.name
    try:
        install(one, python, folder)
    except subprocess.CalledProcessError as error:
        return f"failed to install: {' '.join(map(str, error.cmd[-4:]))}"
    print(f"== {one.name}", flush=True)
    programs = [str(folder / "bin"), os.environ.get("PATH", "")]
    done = subprocess.run(
        [folder / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=ROOT,
        env={**os.environ, "PATH": os.pathsep.join(programs), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    print(done.stdout, flush=True)
    last = done.stdout.strip().rpartition("\n")[2].strip("= ")
    return last if not done.returncode else f"failed: {last}"


def found(minor: int) -> Path | None:
    """Return a Python of this version that can make environments: this one, one on PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python3.{minor}")
    candidates = [Path(sys.executable), *([Path(on_path)] if on_path else [])]
    candidates += sorted(pyenv.glob(f"3.{minor}.*/bin/python"), reverse=True)
    question = "import sys, venv, ensurepip; print(sys.version_info[1])"
    for python in candidates:
        answer = subprocess.run([python, "-c", question], capture_output=True, text=True)
        if answer.stdout.strip() == str(minor):
            return python
    return None


def install(one: Combination, python: Path, folder: Path) -> None:
    """Make the environment, unless it is there."""
    stamp = folder / ".stamp"
    key = digest([CONSTRAINTS, ROOT / "pyproject.toml", Path(__file__)], one.name)
    if fresh(stamp, key):
        return
    print(f"  installing {one.name} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", folder], check=True)
    own = {re.split("==", package)[0] for package in one.packages}
    constraints = folder / "constraints.txt"
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if re.split("[= ]", line)[0] not in own]
    constraints.write_text("\n".join(lines))
    pip: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    pip += ["--constraint", constraints]
    subprocess.run([*pip, "hatchling", "editables"], check=True)
    without_hooks = {**os.environ, "HATCH_BUILD_NO_HOOKS": "true"}
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", "--editable", ROOT], check=True, env=without_hooks)
    asked = subprocess.run([folder / "bin" / "python", "-c", REQUIRED], check=True, stdout=subprocess.PIPE, text=True)
    subprocess.run([*pip, *asked.stdout.splitlines(), *NEEDED, *one.packages], check=True)
    write(stamp, key)


if __name__ == "__main__":
    sys.exit(main())
