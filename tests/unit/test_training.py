"""One loop trains every system: loss falls, the same each time, and what is written can be read again."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from test_pairs import PAIRS

from attnwidget import models, tasks
from attnwidget.models import catalogue
from attnwidget.models.training.command import main
from attnwidget.models.training.courses import COURSES
from attnwidget.models.training.loop import fit, write
from attnwidget.models.training.plot import Check, draw
from attnwidget.models.training.translation import alignment_loss, collate

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = {"reverse": 30, "luong-local-p": 30, "luong-feeding": 30, "transformer": 30, "pointer": 100}  # steps


@pytest.mark.parametrize(("name", "steps"), SHORT.items())
def test_a_short_training_lowers_the_loss(name: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.models.training.loop.N_CHECK", 2)
    course = COURSES[name]
    recipe = replace(course.recipe, steps=steps, batch=64, warm_up=4, learning_rate=5e-3)
    short = replace(course, recipe=recipe)  # type: ignore[type-var]
    torch.manual_seed(3)
    fresh, trained = short.build().eval(), fit(short, seed=3)
    with torch.no_grad():
        before, after = (float(short.loss(system, random.Random(9))) for system in (fresh, trained.system))
    assert [check.step for check in trained.history] == [steps]
    assert after < 0.97 * before


def test_training_is_the_same_each_time_and_leaves_torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.models.training.loop.N_CHECK", 2)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first, again, other = (
        models.train("luong-dot", seed=seed, steps=2).state_dict()["network.output.weight"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_translator_of_ones_own_is_trained_saved_and_loaded(tmp_path: Path) -> None:
    task = tasks.from_pairs(PAIRS, name="mine")
    model = models.train(task, steps=40, out=tmp_path)
    again = models.load(tmp_path / "mine.safetensors")
    assert len(model.run(model.encode("red house here"))) <= 3 + 3
    assert again.example == task.typed
    assert [step.token for step in again.steps(again.encode("red house here"))]
    card = catalogue.read_header(tmp_path / "mine.safetensors")["card"]
    assert (card["task"], card["alignment"], card["seed"]) == ("mine", None, 0)
    assert ElementTree.parse(tmp_path / "mine.svg").getroot().tag.endswith("svg")


def test_own_words_that_are_unknown_are_refused_and_own_tokenizers_are_asked_for(tmp_path: Path) -> None:
    task = tasks.from_pairs(PAIRS, name="mine", tokenize=lambda text: text.split(" "))
    model = models.train(task, steps=1, out=tmp_path)
    with pytest.raises(ValueError, match="word 0 is not among the 10 words"):
        model.encode("yellow house")
    again = models.load(tmp_path / "mine.safetensors")
    with pytest.raises(ValueError, match=r"expected a list of words. Or set model\.reader\.tokenizer"):
        again.encode("red house")
    assert again.encode(["red", "house"]).tokens == ("red", "house")


def test_the_command_trains_on_a_file_of_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.tsv").write_text("\n".join("\t".join(pair) for pair in PAIRS), encoding="utf-8")
    main([str(tmp_path / "mine.tsv"), "--steps", "2", "--out", str(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mine.safetensors", "mine.svg"]
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sums"], "there is no model 'sums': expected one of agent"),
        (["nothing.tsv"], "No such file"),
        (["reverse", "--steps", "0"], "steps is 0: expected 1 or more"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        main([*arguments, "--out", str(tmp_path)])
    assert message in capsys.readouterr().err


def test_train_refuses_what_is_no_task() -> None:
    with pytest.raises(TypeError, match="a list came: expected a task"):
        models.train([("a", "b")])  # type: ignore[arg-type]


def test_checkpoints_are_the_states_of_their_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.models.training.loop.N_CHECK", 2)
    monkeypatch.setattr("attnwidget.models.training.loop.N_TEST", 2)
    course = COURSES["luong-dot"]
    recipe = replace(course.recipe, steps=3, checkpoints={"early": 1, "last": 3})
    course = replace(course, recipe=recipe)  # type: ignore[type-var]
    card = write(fit(course, seed=0), tmp_path, course=course)
    early, last = (
        models.load(tmp_path / "checkpoints" / f"luong-dot.{name}.safetensors") for name in ("early", "last")
    )
    final = models.load(tmp_path / "luong-dot.safetensors").state_dict()
    assert card.bytes == (tmp_path / "luong-dot.safetensors").stat().st_size
    assert all(torch.equal(tensor, final[key]) for key, tensor in last.state_dict().items())
    assert not all(torch.equal(tensor, final[key]) for key, tensor in early.state_dict().items())


def test_unseen_inputs_are_held_out_and_all_different() -> None:
    for name in ("numbers-de", "pointer"):
        examples = COURSES[name].unseen(3, 50)
        assert all(map(tasks.held_out, examples))
        assert len({example.source for example in examples}) == 50


def test_the_plot_shows_what_there_is_and_escapes_the_title() -> None:
    history = [Check(10, 2.0, 0.0, None), Check(20, 0.5, 0.75, None)]
    text = draw(history, title="<mine>")
    assert ElementTree.fromstring(text) is not None
    assert text.count("<polyline") == 2
    assert "&lt;mine&gt;" in text
    assert draw([Check(10, 2.0, 0.0, 0.5)], title="one").count("<polyline") == 3


def test_alignment_loss_is_the_mean_surprise_over_gold_steps() -> None:
    weights = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]])
    gold = torch.tensor([[[True, True, False], [False, False, False]]])
    assert float(alignment_loss(weights, gold=gold)) == pytest.approx(-torch.tensor(0.75).log().item())


def test_collate_shifts_the_target_and_marks_the_gold() -> None:
    examples = [
        tasks.Example(("b", "a", "b"), ("x", "y"), (frozenset({0, 2}), None)),
        tasks.Example(("a",), ("y",), (frozenset({0}),)),
    ]
    batch = collate(examples, source_words=("a", "b"), target_words=("·", "x", "y"))
    assert batch.source.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert batch.lengths.tolist() == [3, 1]
    assert batch.previous.tolist() == [[0, 1, 2], [0, 2, 0]]
    assert batch.target.tolist() == [[1, 2, 0], [2, 0, -100]]
    assert batch.gold.nonzero().tolist() == [[0, 0, 0], [0, 0, 2], [1, 0, 0]]
