"""What `attnwidget` offers, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import attnwidget

NAMES = {
    "AttentionWidget",
    "CaptureError",
    "Edit",
    "Site",
    "Tokens",
    "Trace",
    "TraceError",
    "generate",
    "grouped",
    "inspect",
    "load",
    "mark",
    "record",
    "rerun",
    "show",
    "step",
}
MODULES = {"analysis", "models", "tasks"}
MAX_NAMES = 16
MAX_MB = 160
HEAVY = ("torch", "bqplot", "pandas", "ipywidgets", "transformers", "matplotlib", "numpy")


def imported(statement: str) -> set[str]:
    """Return which heavy packages a statement imports in a new interpreter."""
    code = f"{statement}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_public_names_are_these() -> None:
    assert set(attnwidget.__all__) == NAMES | MODULES


def test_the_public_names_are_few() -> None:
    assert len(NAMES) <= MAX_NAMES


@pytest.mark.parametrize("name", sorted(NAMES | MODULES | {"__version__"}))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(attnwidget, name) is not None


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_says_what_it_is(name: str) -> None:
    assert getattr(attnwidget, name).__doc__


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_public_module_is_a_module(name: str) -> None:
    assert isinstance(getattr(attnwidget, name), ModuleType)


def test_all_public_names_are_listed() -> None:
    assert dir(attnwidget) == sorted(attnwidget.__all__)


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Trce'"):
        attnwidget.Trce  # noqa: B018


def test_the_package_imports_nothing_heavy() -> None:
    assert imported("import attnwidget") == set()


@pytest.mark.parametrize("name", ["Trace", "Tokens", "Site", "load", "tasks", "models", "analysis"])
def test_what_needs_numpy_imports_no_more(name: str) -> None:
    assert imported(f"from attnwidget import {name}") <= {"numpy"}


@pytest.mark.parametrize("name", ["AttentionWidget", "show"])
def test_the_widget_imports_no_torch_and_no_bqplot(name: str) -> None:
    assert imported(f"from attnwidget import {name}") & {"torch", "bqplot", "pandas", "transformers"} == set()


def test_a_trace_of_numpy_is_shown_without_torch() -> None:
    code = (
        "import numpy, attnwidget as aw\n"
        "trace = aw.Trace.from_weights(numpy.full((4, 5), 0.2), source=list('abcde'), target=list('wxyz'))\n"
        "aw.show(trace, figure=False)"
    )
    assert "torch" not in imported(code)


@pytest.mark.skipif(sys.platform != "linux", reason="where memory is read; elsewhere it is much the same")
def test_a_process_that_shows_a_file_is_small(tmp_path: Path, complete: attnwidget.Trace) -> None:
    complete.save(tmp_path / "run.attn")
    code = (
        f"import attnwidget as aw; aw.AttentionWidget(aw.load({str(tmp_path / 'run.attn')!r}))\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmRSS')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) / 1e3 < MAX_MB


def test_an_import_that_is_heavy_is_found() -> None:
    assert "numpy" in imported("import numpy")
