"""Set up everything that `make` needs: .venv, Python packages, JavaScript tools, Chromium. Does nothing twice.

Runs on the system's Python before anything is installed, so it needs the standard library only.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from stamps import ROOT, digest, fresh, write

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_PYTHON = (3, 10)
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CONSTRAINTS = ROOT / "constraints.txt"
SCRIPTS = ROOT / "scripts"


def main() -> None:
    """Set everything up, one guarded step after the other."""
    use_new_enough_python()
    with one_at_a_time():
        make_venv()
        install_packages()
        run("JavaScript tools", PYTHON, SCRIPTS / "javascript.py", "install")
        run("Chromium", PYTHON, SCRIPTS / "chromium.py")


def use_new_enough_python() -> None:
    """Start again with a newer Python when this one is too old and PATH has a newer one."""
    if sys.version_info >= MIN_PYTHON:
        return
    for minor in (13, 12, 11, 10):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])
    stop(
        f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old: attnwidget needs 3.10 or newer. "
        "Install one, then: make PYTHON=python3.12 ..."
    )


def make_venv() -> None:
    """Make .venv, again when the Python behind it or the project's folder changed."""
    stamp = VENV / ".stamp-venv"
    key = digest([], sys.version, sys.base_prefix, str(ROOT))
    if fresh(stamp, key) and PYTHON.exists():
        return
    say(f".venv (Python {sys.version_info[0]}.{sys.version_info[1]})")
    shutil.rmtree(VENV, ignore_errors=True)
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        maker = "venv"
    elif importlib.util.find_spec("virtualenv"):
        maker = "virtualenv"
    else:
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        stop(
            f"{sys.executable} cannot make virtual environments: its venv module is not whole. "
            f"On Debian and Ubuntu: apt-get install {name}-venv. Or name another Python: make PYTHON=..."
        )
    run("the virtual environment", sys.executable, "-m", maker, VENV)
    write(stamp, key)


def install_packages() -> None:
    """Install the pinned Python packages and this project itself, editable."""
    stamp = VENV / ".stamp-packages"
    files = [CONSTRAINTS, ROOT / "pyproject.toml", ROOT / "package.json", SCRIPTS / "bootstrap.py"]
    index = os.environ.get("TORCH_INDEX", "")
    key = digest(files, index)
    if fresh(stamp, key):
        return
    say("Python packages (some minutes the first time)")
    pip = pip_install()
    # By itself, so that an index named for its CPU builds is asked for torch and what torch needs, and nothing else.
    run("torch", *pip, *(["--extra-index-url", index] if index else []), "torch")
    run("the build backend", *pip, "hatchling", "editables")
    # The bundles are made by `make build`; without hooks the environment is complete even while they do not build.
    without_hooks = {**os.environ, "HATCH_BUILD_NO_HOOKS": "true"}
    run("attnwidget", *pip, "--no-build-isolation", "--editable", f"{ROOT}[test,demo]", env=without_hooks)
    sys.path.insert(0, str(SCRIPTS))
    import javascript

    if javascript.node_on_path() is None:
        run("Node", *pip, javascript.NODE_WHEEL)
    write(stamp, key)


def install_group(group: str) -> None:
    """Install what one of the optional groups of pyproject.toml names, which most people never need."""
    stamp = VENV / f".stamp-{group}"
    key = digest([CONSTRAINTS, ROOT / "pyproject.toml"], group)
    if fresh(stamp, key):
        return
    with one_at_a_time():
        say(f"what {group} needs")
        without_hooks = {**os.environ, "HATCH_BUILD_NO_HOOKS": "true"}
        run(group, *pip_install(), "--no-build-isolation", "--editable", f"{ROOT}[{group}]", env=without_hooks)
        write(stamp, key)


def pip_install() -> list[str | Path]:
    """Return the command that installs pinned packages."""
    quiet = ("--quiet", "--disable-pip-version-check")
    return [PYTHON, "-m", "pip", "install", *quiet, "--constraint", CONSTRAINTS]


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let a second `make` in the same folder wait until the first has set up."""
    lock = ROOT / "build" / "setup.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        try:
            import fcntl
        except ImportError:
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(what: str, *command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a command from the project's root; say which step failed and stop if it does."""
    code = subprocess.run([str(word) for word in command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
    if code:
        stop(f"Setting up {what} failed (code {code}); the lines above say why. Once that is cured, run make again.")


def say(what: str) -> None:
    """Print one line of progress."""
    print(f"  {what} ...", flush=True)


def stop(sentence: str) -> NoReturn:
    """End with one sentence and a nonzero code."""
    sys.exit(f"attnwidget: {sentence}")


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"  set up in {time.monotonic() - began:.1f} s", flush=True)
