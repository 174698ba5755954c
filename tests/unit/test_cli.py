"""The command line: demo and train, and what it says of mistakes."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

import attnwidget as aw
from attnwidget import cli, models

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore:.*is a mask")]
NAMES = [card.name for card in models.available()]


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


def test_a_demo_opens_what_was_typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    cli.main(["demo", "reverse", "--input", "abc"])
    (address,) = opened
    assert address.startswith("file://")
    assert address.endswith("/reverse.html")
    assert "a b c -> c b a" in capsys.readouterr().out


def test_a_checkpoint_is_shown_by_name() -> None:
    _, trace = cli.recorded("luong-general", checkpoint="early")
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
    ([], "required"),
])  # fmt: skip
def test_mistakes_are_told_in_one_sentence(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
