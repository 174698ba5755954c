"""The page's side of the wire and its documentation are written from the declarations, and are fresh."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attnwidget import wire
from attnwidget.wire import __main__ as command
from attnwidget.wire.generate import markdown, typescript


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return what runs the command with arguments and gives its exit status."""

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["wire", *arguments])
        return command.main()

    return call


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A generated file that is not what the declarations say."""
    path = tmp_path / "wire.gen.ts"
    path.write_text(typescript() + "// changed by hand\n", "utf-8")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "WRITTEN", {path: typescript})
    return path


def test_the_generated_files_are_fresh() -> None:
    done = subprocess.run([sys.executable, "-m", "attnwidget.wire", "--check"], cwd=command.ROOT, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_stale_file_is_found(run: Callable[..., int], stale: Path) -> None:
    assert run("--check") == 1


def test_a_check_writes_nothing(run: Callable[..., int], stale: Path) -> None:
    run("--check")
    assert stale.read_text("utf-8").endswith("// changed by hand\n")


def test_a_missing_file_is_found(run: Callable[..., int], stale: Path) -> None:
    stale.unlink()
    assert run("--check") == 1


def test_a_stale_file_is_written_anew(run: Callable[..., int], stale: Path) -> None:
    run()
    assert stale.read_text("utf-8") == typescript()


def test_every_synced_trait_is_on_the_page() -> None:
    text = typescript()
    assert [name for name in wire.Traits.class_traits(sync=True) if f" */ {name}: " not in text] == []


@pytest.mark.parametrize("text", [typescript(), markdown()], ids=["TypeScript", "documentation"])
def test_every_message_is_declared(text: str) -> None:
    assert [d.__name__ for d in (*wire.DATA, *wire.TO_PAGE, *wire.TO_KERNEL) if d.__name__ not in text] == []


def test_every_trait_says_what_it_is() -> None:
    assert all(trait.help for trait in wire.Traits.class_traits(sync=True).values())
