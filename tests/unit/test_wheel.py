"""Builds the wheel and the sdist once, opens both and looks."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = tuple(f"attnwidget/static/{name}.js" for name in ("widget", "standalone", "loader"))
SDIST_ONLY = ("package.json", "package-lock.json", "js/build.mjs", "js/src/widget.ts", "scripts/hatch_build.py")
STRANGERS = re.compile(r"(^|/)(node_modules|\.venv|\.git|build|__pycache__|\.\w+_cache)/")

pytestmark = pytest.mark.slow

Sizes = dict[str, int]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built with what is installed here."""
    folder = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--sdist",
        "--outdir",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Sizes:
    """The wheel's files and their sizes in bytes."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: entry.file_size for entry in archive.infolist()}


@pytest.fixture(scope="module")
def sdist(built: Path) -> Sizes:
    """The sdist's files, below its own folder, and their sizes in bytes."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {entry.name.split("/", 1)[1]: entry.size for entry in archive.getmembers() if "/" in entry.name}


def missing_or_empty(sizes: Sizes, names: tuple[str, ...]) -> list[str]:
    """Return those names that are not in an archive, or have no content there."""
    return [name for name in names if not sizes.get(name)]


def weights() -> tuple[str, ...]:
    """Return the trained weights that git or the working tree has, as paths from the root."""
    found = tuple(path.relative_to(ROOT).as_posix() for path in (ROOT / "attnwidget" / "weights").glob("*.safetensors"))
    assert found, "attnwidget/weights holds no weights"
    return found


def test_the_wheel_carries_the_javascript(wheel: Sizes) -> None:
    assert missing_or_empty(wheel, BUNDLES) == []


def test_the_sdist_carries_the_javascript_built_and_as_source(sdist: Sizes) -> None:
    assert missing_or_empty(sdist, BUNDLES + SDIST_ONLY) == []


def test_the_wheel_carries_the_weights(wheel: Sizes) -> None:
    assert missing_or_empty(wheel, weights()) == []


def test_the_sdist_carries_the_weights(sdist: Sizes) -> None:
    assert missing_or_empty(sdist, weights()) == []


def test_the_wheel_says_that_it_is_typed(wheel: Sizes) -> None:
    assert "attnwidget/py.typed" in wheel


def test_both_carry_the_licence(wheel: Sizes, sdist: Sizes) -> None:
    assert "LICENSE" in sdist
    assert any(re.search(r"\.dist-info/.*LICENSE$", name) for name in wheel)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Sizes) -> None:
    assert [name for name in wheel if not re.match(r"attnwidget(-[\d.]+\.dist-info)?/", name)] == []


def test_neither_carries_what_is_built_or_cached(wheel: Sizes, sdist: Sizes) -> None:
    assert [name for name in [*wheel, *sdist] if STRANGERS.search(name)] == []


@pytest.mark.parametrize("sizes", [{}, {BUNDLES[0]: 10}, {BUNDLES[0]: 10, BUNDLES[1]: 0}])
def test_a_missing_or_empty_bundle_is_found(sizes: Sizes) -> None:
    assert missing_or_empty(sizes, BUNDLES) != []


def test_a_stranger_is_found() -> None:
    assert STRANGERS.search("js/node_modules/a.js")
