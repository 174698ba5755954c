"""The page's side of the wire and its documentation are written from the declarations, and are fresh."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

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


@pytest.mark.parametrize(("path", "made"), command.WRITTEN.items(), ids=lambda it: getattr(it, "name", ""))
def test_what_is_written_is_what_is_declared(path: Path, made: Callable[[], str]) -> None:
    assert path.read_text("utf-8") == made()


def test_a_type_that_the_page_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "DATA", (TypedDict("OddData", {"field": complex}),))
    with pytest.raises(TypeError, match=r"^the wire has no TypeScript for <class 'complex'>$"):
        typescript()


def test_a_stale_file_is_found(run: Callable[..., int], stale: Path) -> None:
    assert run("--check") == 1


def test_a_check_writes_nothing(run: Callable[..., int], stale: Path) -> None:
    run("--check")
    assert stale.read_text("utf-8").endswith("// changed by hand\n")


def test_a_missing_file_is_found(run: Callable[..., int], stale: Path) -> None:
    stale.unlink()
    assert run("--check") == 1


def test_a_stale_file_is_written_anew(run: Callable[..., int], stale: Path) -> None:
    assert run() == 0
    assert stale.read_text("utf-8") == typescript()


def test_the_command_says_what_it_does(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("usage: python -m attnwidget.wire [-h] [--check]")
    assert "writes the TypeScript and the documentation of the wire" in said
    assert "--check write nothing; fail if a file is stale" in said


def test_what_was_done_is_told(run: Callable[..., int], stale: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--check"], [], ["--check"], []):
        run(*arguments)
    assert capsys.readouterr().out == "stale wire.gen.ts\nwrote wire.gen.ts\n"


def test_folders_are_made_for_what_is_missing(
    run: Callable[..., int], stale: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stale.parent / "js" / "src" / "wire.gen.ts"
    monkeypatch.setattr(command, "WRITTEN", {path: typescript})
    assert (run("--check"), path.exists(), run(), run("--check")) == (1, False, 0, 0)


def test_every_synced_trait_is_on_the_page() -> None:
    text = typescript()
    assert [name for name in wire.Traits.class_traits(sync=True) if f" */ {name}: " not in text] == []


@pytest.mark.parametrize("text", [typescript(), markdown()], ids=["TypeScript", "documentation"])
def test_every_message_is_declared(text: str) -> None:
    assert [d.__name__ for d in (*wire.DATA, *wire.TO_PAGE, *wire.TO_KERNEL) if d.__name__ not in text] == []


def test_every_trait_says_what_it_is() -> None:
    assert all(trait.help for trait in wire.Traits.class_traits(sync=True).values())
