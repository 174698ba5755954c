"""generate, over enough tokens that steps which are alike are appended together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from decoders import N_PROMPT, built, inputs, teacher_forced
from torch import Tensor

import attnwidget as aw

N_NEW = 40
OPTIONS: dict[str, Any] = {"max_new_tokens": N_NEW, "min_new_tokens": N_NEW, "do_sample": False}


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    with torch.no_grad():
        yield


@pytest.mark.parametrize(("name", "store", "example"), [
    ("GPT-2", "dense", 0), ("Llama", "qk", 0), ("Llama", "dense", 1), ("Mistral", "qk", 0), ("Bloom", "dense", 0),
])  # fmt: skip
def test_rows_are_those_of_one_eager_pass(name: str, store: str, example: int) -> None:
    model, given = built(name), inputs(name, 1 + example)
    lengths: list[int] = []
    trace = aw.Trace()
    trace.observe(lambda it: lengths.append(len(it.steps)))
    aw.generate(model, given, into=trace, example=example, store=store, progress=False, **OPTIONS)  # type: ignore[arg-type]
    own = {key: it[example : example + 1] for key, it in given.items()}
    sequence = model.generate(**given, **OPTIONS)[example]
    assert list(trace.tokens["target"]) == [str(it) for it in sequence[N_PROMPT:].tolist()]
    assert [step.position for step in trace.steps] == list(range(N_PROMPT - 1, N_PROMPT - 1 + N_NEW))
    assert trace.flags == ()
    assert set(range(5)) <= set(lengths)  # the first ones come one by one
    expected = teacher_forced(name, model, own, sequence[:-1])
    for site in trace.sites:
        theirs = expected[site.kind][site.layer][:, -N_NEW:]
        np.testing.assert_allclose(trace.weights(site), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_is_stopped_keeps_the_steps_that_were_finished(error: type[BaseException]) -> None:
    model, given, trace = built("Llama"), inputs("Llama"), aw.Trace()

    def stop(ids: Tensor, scores: Tensor, **_: object) -> bool:
        if ids.shape[1] == N_PROMPT + 30:
            raise error("enough")
        return False

    with pytest.raises(error, match="enough"):
        aw.generate(
            model, given, into=trace, progress=False, **OPTIONS, stopping_criteria=tf.StoppingCriteriaList([stop])
        )
    whole = aw.generate(model, given, progress=False, **OPTIONS)
    assert trace.status == "stopped"
    assert trace.steps == whole.steps[:29]  # that the last token stays, only the pass after it tells
    for site in trace.sites:
        theirs = whole.weights(site.name)[:, :29, : site.n_keys]
        np.testing.assert_allclose(trace.weights(site), theirs, atol=1e-6, rtol=0)


def test_candidates_are_those_of_the_model() -> None:
    model, given = built("Llama"), inputs("Llama")
    record = aw.generate(model, given, progress=False, **OPTIONS)
    plain = model.generate(**given, **OPTIONS, output_scores=True, return_dict_in_generate=True)
    probabilities = torch.stack(plain.scores).softmax(-1)[:, 0].amax(-1)  # [step]
    theirs = [step.candidates[0].probability for step in record.steps]
    np.testing.assert_allclose(theirs, probabilities.numpy(), rtol=1e-5)


@pytest.mark.parametrize("store", ["dense", "qk"])
def test_drafts_of_the_first_layers_are_no_steps(store: str) -> None:
    model, given = built("Gemma-2"), inputs("Gemma-2")
    options = OPTIONS | {"assistant_early_exit": 1}
    trace = aw.generate(model, given, store=store, progress=False, **options)  # type: ignore[arg-type]
    sequence = model.generate(**given, **options)[0]
    assert list(trace.tokens["target"]) == [str(it) for it in sequence[N_PROMPT:].tolist()]
    expected = teacher_forced("Gemma-2", model, given, sequence[:-1])["decoder"]
    assert len(trace.sites) == len(expected)
    for site in trace.sites:
        np.testing.assert_allclose(trace.weights(site), expected[site.layer][:, -N_NEW:], atol=1e-5, rtol=0)
