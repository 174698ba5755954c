"""The systems that see and the one that walks: right and aligned on unseen inputs, recorded as they compute."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget import models
from attnwidget.models import DecoderStep
from attnwidget.models.files import load, save
from attnwidget.models.searcher import Found
from attnwidget.models.training import walking
from attnwidget.models.training.loop import fit, write
from attnwidget.models.training.seeing import SEEING
from attnwidget.tasks import Example, digits, grid, shapes

pytestmark = pytest.mark.usefixtures("one_thread")

COURSES = {course.name: course for course in SEEING}
LEAST = {"captioner": 0.97, "video": 0.97, "vit": 0.95, "residual": 0.95, "retrieval": 0.97, "agent": 0.93}
SHORT = {"captioner": 12, "video": 8, "vit": 40, "residual": 12, "retrieval": 8}  # steps
ALIGNED = ["captioner", "video", "retrieval", "agent"]
RECORDED = [*ALIGNED, "vit", "residual"]


@pytest.fixture(scope="module", params=LEAST)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_shipped_system_is_right_on_unseen_inputs(name: str) -> None:
    quality = models.measure(models.pretrained(name), COURSES[name].unseen(31, 100))
    assert quality.exact_match >= LEAST[name]
    assert (quality.alignment is None) == (name not in ALIGNED)
    assert quality.alignment is None or quality.alignment >= 0.95


@pytest.mark.filterwarnings("ignore:.*is a mask")
@pytest.mark.parametrize("name", RECORDED)
def test_weights_are_recorded_as_the_network_computes_them(name: str) -> None:
    model = models.pretrained(name)
    inputs = model.encode(COURSES[name].unseen(3, 1)[0])
    steps: list[DecoderStep] = list(model.steps(inputs))
    with aw.record(model, source=inputs.tokens) as trace:
        output = model.run(inputs, on_token=aw.step)
    assert [step.token for step in trace.steps] == [step.token for step in steps]
    assert output == [step.token for step in steps if step.token != "·"]
    recorded = trace.weights(site=trace.sites[-1].name)  # [head, query, key]
    rows = recorded[:, :1].mean(axis=0) if name in ("vit", "residual") else recorded[0]
    np.testing.assert_allclose(rows, np.stack([step.weights.numpy() for step in steps]), rtol=0, atol=1e-6)


def test_typed_example_is_run_without_a_warning(name: str) -> None:
    model = models.pretrained(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = model.encode(model.example)
    steps = list(model.steps(inputs))
    assert {len(step.weights) for step in steps} == {len(inputs.tokens)}
    for step in steps:
        assert step.candidates[0][0] == step.token
        assert sum(probability for _, probability in step.candidates) <= 1 + 1e-6


def test_saved_and_loaded_system_decodes_the_same(name: str, tmp_path: Path) -> None:
    model = models.pretrained(name)
    save(model, tmp_path / "again.safetensors", card=models.available()[0])
    again = load(tmp_path / "again.safetensors")
    for old, new in zip(
        model.steps(model.encode(model.example)), again.steps(again.encode(again.example)), strict=True
    ):
        assert old.candidates == new.candidates
        assert torch.equal(old.weights, new.weights)


@pytest.mark.parametrize(("name", "steps"), SHORT.items())
def test_a_short_training_lowers_the_loss(name: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.models.training.loop.N_CHECK", 2)
    course = COURSES[name]
    short = replace(course, recipe=replace(course.recipe, steps=steps, batch=32, warm_up=3))  # type: ignore[type-var]
    losses = []
    for system in (short.build(), fit(short, seed=1).system):
        torch.manual_seed(1)
        with torch.no_grad():
            losses.append(float(short.loss(system.train(), random.Random(9))))
    assert losses[1] < 0.97 * losses[0]


def test_a_short_training_of_the_agent_leads_to_goals_near_by(monkeypatch: pytest.MonkeyPatch) -> None:
    def beside(rng: random.Random, *, held_out: bool) -> Example:
        return grid.example(12, rng.choice([7, 11, 13, 17]), walls=frozenset())

    monkeypatch.setattr(walking, "drawn", beside)
    monkeypatch.setattr(walking, "MAX_ACTIONS", 1)
    monkeypatch.setattr("attnwidget.models.training.loop.N_CHECK", 2)
    course = COURSES["agent"]
    assert isinstance(course, walking.Walking)
    short = replace(course, recipe=replace(course.recipe, steps=120, batch=64, warm_up=3))
    trained = fit(short, seed=1).system
    assert models.measure(trained, short.unseen(5, 60)).exact_match > 0.6


def test_written_weights_are_measured_as_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("attnwidget.models.training.loop.N_CHECK", 2)
    monkeypatch.setattr("attnwidget.models.training.loop.N_TEST", 5)
    course = COURSES["residual"]
    short = replace(course, recipe=replace(course.recipe, steps=3, batch=8))  # type: ignore[type-var]
    card = write(fit(short, seed=0), tmp_path, course=short)
    assert card.bytes == (tmp_path / "residual.safetensors").stat().st_size
    assert card.alignment is None


@pytest.mark.parametrize(
    ("name", "shape"), [("captioner", (32, 32, 3)), ("video", (5, 32, 32, 3)), ("vit", (8, 8)), ("residual", (8, 8))]
)
def test_pictures_of_ones_own_are_checked(name: str, shape: tuple[int, ...]) -> None:
    model = models.pretrained(name)
    with pytest.raises(ValueError, match=r"the picture has shape \[9, 9\]: expected \["):
        model.encode(np.zeros((9, 9)))
    for value in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"the picture has numbers from .* expected float from 0 to 1"):
            model.encode(np.full(shape, value))
    with pytest.raises(TypeError, match="the picture holds complex64"):
        model.encode(np.zeros(shape, dtype=np.complex64))
    with pytest.raises(TypeError, match=r"a list came: expected a text such as .* call numpy\.asarray first"):
        model.encode([[0.0]])
    with pytest.warns(UserWarning, match="expect mistakes") as caught:
        inputs = model.encode(np.zeros(shape, dtype=np.uint8))
    assert caught[0].filename == __file__
    assert len(model.run(inputs)) >= 1


def test_whole_numbers_and_float_are_the_same_picture() -> None:
    model = models.pretrained("captioner")
    scene = shapes.read("yellow triangle a1, green circle d1").values
    whole = model.encode(np.round(255 * scene).astype(np.uint8))
    np.testing.assert_allclose(whole.values, model.encode(scene).values, atol=1 / 255)
    assert model.run(whole) == ["a", "yellow", "triangle", "left-of", "a", "green", "circle"]
    sixteenths = (16 * digits.read("3").values).astype(np.int64)
    assert models.pretrained("residual").run(models.pretrained("residual").encode(sixteenths)) == ["three"]


def test_the_searcher_finds_the_picture_and_shows_it() -> None:
    model = models.pretrained("retrieval")
    found = model.encode("a green triangle above a red square")
    assert isinstance(found, Found)
    assert found.captions[0] == ("a", "green", "triangle", "above", "a", "red", "square")
    assert len(found.captions) == 50
    assert float(found.probabilities.sum()) == pytest.approx(1)
    assert found.image.shape == (32, 32, 3)


def test_the_agent_warns_of_more_walls_than_it_knows_and_goes_on() -> None:
    model = models.pretrained("agent")
    with pytest.warns(UserWarning, match="the map has 5 walls, but in training there were 4 at most"):
        inputs = model.encode("G..../.#.#./.#.#./..#../....A")
    assert 1 <= len(model.run(inputs)) <= 25


@pytest.mark.parametrize("name", ["retrieval", "agent"])
def test_what_is_no_input_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="a int came: expected"):
        models.pretrained(name).encode(7)  # type: ignore[arg-type]
