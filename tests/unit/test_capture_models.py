"""The shipped models are recorded as they compute, while they decode."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from attnwidget import models
from attnwidget.models import DecoderStep, System
from attnwidget.models.system import END
from attnwidget.models.training.courses import COURSES

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = [
    "dates",
    "luong-concat",
    "luong-dot",
    "luong-feeding",
    "luong-general",
    "luong-local-m",
    "numbers-de",
    "reverse",
    "reverse-no-attention",
]  # those with one site of one head whose weights go straight into a product


class Run:
    """One shipped model on one unseen input: its own steps, the trace, and how far the trace was after each step."""

    def __init__(self, name: str) -> None:
        self.model: System = models.pretrained(name)
        (example,) = COURSES[name].unseen(3, 1)
        self.inputs = self.model.encode(example)
        self.steps: list[DecoderStep] = list(self.model.steps(self.inputs))
        self.seen: list[tuple[int, int]] = []
        with aw.record(self.model, source=self.inputs.tokens) as self.trace:
            self.trace.observe(self.look)
            self.result = self.model.run(self.inputs, on_token=aw.step)

    def look(self, trace: aw.Trace) -> None:
        grown = (len(trace.steps), trace.sites[0].n_queries)
        if trace.steps and grown not in self.seen:
            self.seen.append(grown)


@pytest.fixture(scope="module", params=NAMES)
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


def test_weights_are_those_that_the_network_computed(run: Run) -> None:
    computed = np.stack([step.weights.numpy() for step in run.steps])[None]
    assert np.array_equal(run.trace.weights(), computed)


def test_steps_are_the_tokens_with_the_end_mark(run: Run) -> None:
    assert [step.token for step in run.trace.steps] == [step.token for step in run.steps]
    assert run.trace.tokens["target"].texts[-1] == END


def test_candidates_are_those_of_the_network(run: Run) -> None:
    told = [[(it.token, it.probability) for it in step.candidates] for step in run.trace.steps]
    assert told == [step.candidates for step in run.steps]


def test_the_site_is_cross_attention_named_by_its_module(run: Run) -> None:
    (site,) = run.trace.sites
    assert (site.name, site.kind, site.layer, site.n_heads) == ("network.attention", "cross", 0, 1)
    assert (site.query, site.key) == ("target", "source")
    assert (site.n_queries, site.n_keys) == (len(run.steps), len(run.inputs.tokens))


def test_nothing_is_unusual(run: Run) -> None:
    assert run.trace.flags == ()
    assert run.trace.status == "complete"


def test_rows_appear_while_it_decodes(run: Run) -> None:
    assert run.seen == [(i, i) for i in range(1, len(run.steps) + 1)]


def test_the_output_is_that_without_recording(run: Run) -> None:
    assert run.result == run.model.run(run.inputs)


def test_a_run_without_steps_is_recorded_whole(run: Run) -> None:
    with aw.record(run.model, source=run.inputs.tokens) as trace:
        run.model(run.inputs)
    assert np.array_equal(trace.weights(), run.trace.weights())
