"""The command line: demo and train, and what it says of mistakes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import get_args

import pytest

import attnwidget as aw
from attnwidget import cli, models
from attnwidget.cli import files
from attnwidget.cli.demo import recorded
from attnwidget.figure import View

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore:.*is a mask")]
NAMES = [card.name for card in models.available()]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without a name of their own go to the folder of the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_any_shipped_model_becomes_a_page(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    cli.main(["demo", name, "--no-open", "--out", str(page)])
    assert "data-selection" in page.read_text("utf-8")
    assert "->" in (said := capsys.readouterr().out)
    assert f"wrote {page}" in said


@pytest.mark.parametrize("name", NAMES)
def test_one_cell_with_another_name_shows_another_system(name: str) -> None:
    model = models.pretrained(name)
    inputs = model.encode(model.example)
    with aw.record(model, source=inputs, title=name) as trace:
        output = model.run(inputs, on_token=aw.step)
    tokens = [step.token for step in trace.steps]
    assert tokens[: len(output)] == output
    assert trace.status == "complete"
    assert trace.sites


def test_a_demo_opens_what_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    cli.main(["demo", "reverse", "--input", "abc"])
    (address,) = opened
    assert address.startswith(tmp_path.as_uri())
    assert address.endswith("/reverse.html")
    assert "a b c -> c b a" in capsys.readouterr().out


def test_a_checkpoint_is_shown_by_name() -> None:
    _, trace = recorded("luong-general", checkpoint="early")
    assert trace.title == "luong-general, early"


def test_without_a_name_all_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["demo"])
    assert all(name in capsys.readouterr().out for name in NAMES[:1])


@pytest.mark.parametrize(("arguments", "says"), [
    (["demo", "no-such-model"], "there is no model 'no-such-model'"),
    (["demo", "reverse", "--input", "a1"], "is not a letter from a to z"),
    (["demo", "reverse", "--checkpoint", "late"], "no checkpoint 'late'"),
    (["demo", "captioner", "--input", ""], "expected"),
    (["train", "no-such-model"], "there is no model 'no-such-model'"),
    (["train", "reverse", "--steps", "0"], "expected 1 or more"),
    ([], "a command is required: demo, open"),
    (["export", "run.attn", "out.pdf"], "ends in .html, .svg"),
    (["export", "run.attn", "out.csv", "--step", "1"], "--step says nothing about a .csv file"),
    (["export", "run.attn", "out.svg", "--scale", "2"], "--scale says nothing about a .svg file"),
    (["export", "run.attn", "out.html", "--view", "heads"], "--view says nothing about a .html file"),
    (["export", "run.svg", "run.svg"], "is the recording itself"),
])  # fmt: skip
def test_mistakes_are_told_in_one_sentence(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    recorded("reverse", typed="abc")[1].save(path := tmp_path / "run.attn")
    return path


@pytest.mark.parametrize("ending", files.FORMATS)
def test_a_recording_is_written_in_each_form(ending: str, recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = recording.with_suffix(f".{ending}")
    look = ["--step", "1", "--head", "0"] if ending in ("html", "svg", "png") else []
    cli.main(["export", str(recording), str(out), *look])
    assert out.stat().st_size > 100
    assert f"wrote {out}" in capsys.readouterr().out


@pytest.mark.parametrize("view", get_args(View))
def test_any_view_of_a_recording_is_drawn(view: View, recording: Path) -> None:
    cli.main(["export", str(recording), str(recording.with_suffix(".svg")), "--view", view])
    aw.load(recording).to_svg(other := recording.with_name("other.svg"), view=view)
    assert recording.with_suffix(".svg").read_text("utf-8") == other.read_text("utf-8")


def test_a_recording_is_opened(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    cli.main(["open", str(recording), "--step", "1"])
    assert opened[0].endswith("/run.html")


def test_a_recording_is_told(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["inspect", str(recording), "--verify"])
    assert "4 x 3" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [
    ["inspect", "nothing.attn"],
    ["open", "nothing.attn", "--no-open"],
    ["export", "foreign.attn", "out.svg"],
    ["export", "run.attn", "no/such/folder/out.svg"],
    ["export", "run.attn", "no/such/folder/out.csv"],
])  # fmt: skip
def test_files_that_fail_are_named_in_one_line(
    arguments: list[str], recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(recording.parent)
    Path("foreign.attn").write_bytes(b"\x1b[31mnot a trace")
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("attnwidget: ")
    assert "\x1b" not in said


@pytest.mark.parametrize("arguments", [
    ["export", "run.attn", "NAME.svg"],
    ["open", "run.attn", "--no-open", "--out", "NAME.html"],
    ["inspect", "run.attn", "NAME"],
    ["inspect", "NAME"],
    ["export", "run.attn", "NAME"],
    ["demo", "NAME"],
    ["demo", "reverse", "--input", "NAME"],
])  # fmt: skip
def test_no_name_of_a_file_does_anything_to_a_terminal(
    arguments: list[str], recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "\x1b]0;title\x07\x9b31m\u202ekcab\udcffline\rover"
    monkeypatch.chdir(recording.parent)
    with contextlib.suppress(SystemExit):
        cli.main([argument.replace("NAME", name) for argument in arguments])
    said = capsys.readouterr()
    assert said.out + said.err
    assert all(c.isprintable() or c == "\n" for c in said.out + said.err)


@pytest.mark.parametrize("option", [["--step", "99"], ["--head", "5"], ["--site", "3"]])
def test_a_look_that_the_recording_does_not_have_is_refused(
    option: list[str], recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", str(recording), str(recording.with_suffix(".svg")), *option])
    assert ended.value.code == 2
    assert f"{option[0][2:]}: {option[1]} came" in capsys.readouterr().err


def test_recordings_need_no_torch(recording: Path) -> None:
    code = "import sys; from attnwidget import cli; cli.main(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "inspect", recording], check=True, stdout=subprocess.DEVNULL)
