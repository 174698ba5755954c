"""generate: the same tokens as without it, and rows that equal one eager pass over all that was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from decoders import BUILT, IS_PAIR, N_TOKENS, built, inputs, teacher_forced
from torch import Tensor

import attnwidget as aw

GREEDY = {"max_new_tokens": N_TOKENS, "min_new_tokens": N_TOKENS, "do_sample": False}
MODES: dict[str, dict[str, Any]] = {
    "greedy": GREEDY,
    "sampling": GREEDY | {"do_sample": True, "temperature": 1.3},
    "no cache": GREEDY | {"use_cache": False},
    "static cache": GREEDY | {"cache_implementation": "static"},
    "beams": GREEDY | {"num_beams": 4},
    "prompt in parts": GREEDY | {"prefill_chunk_size": 4},
    "assisted": GREEDY,
    "queries and keys": GREEDY | {"store": "qk"},
}
NOT_FOR = {("prompt in parts", name): "reads its prompt by an encoder" for name in IS_PAIR} | {
    ("queries and keys", "Bloom"): "does not attend by queries and keys alone"
}
CASES = [(name, mode) for name in BUILT for mode in MODES if (mode, name) not in NOT_FOR]


@pytest.fixture(autouse=True)
def quiet() -> object:
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


def helper(name: str) -> torch.nn.Module:
    """Return a model that drafts, and is wrong now and then."""
    model = built(name)
    torch.manual_seed(7)
    for parameter in model.get_output_embeddings().parameters():
        parameter.add_(0.3 * parameter.std() * torch.randn_like(parameter))
    return model  # type: ignore[no-any-return]


def generated(name: str, mode: str, *, record: bool) -> tuple[Any, Any]:
    """Return the model, and a trace or the plain output."""
    model, given, kwargs = built(name), inputs(name), dict(MODES[mode])
    if mode == "assisted":
        kwargs["assistant_model"] = helper(name)
    torch.manual_seed(3)
    if record:
        return model, aw.generate(model, given, progress=False, **kwargs)
    kwargs.pop("store", None)
    return model, model.generate(**given, **kwargs)


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_rows_are_those_of_one_eager_pass(name: str, mode: str) -> None:
    _, output = generated(name, mode, record=False)
    model, trace = generated(name, mode, record=True)
    sequence: Tensor = output[0]
    if len(sequence) == N_TOKENS:  # Whisper leaves the start token out
        sequence = torch.cat([torch.tensor([model.config.decoder_start_token_id]), sequence])
    n_given = len(sequence) - N_TOKENS
    assert list(trace.tokens["target"]) == [str(it) for it in sequence[n_given:].tolist()]
    assert list(trace.tokens["context"]) == [str(it) for it in sequence[:-1].tolist()]
    assert [step.position for step in trace.steps] == list(range(n_given - 1, n_given - 1 + N_TOKENS))
    assert all(step.candidates[0].probability >= step.candidates[-1].probability for step in trace.steps)
    expected = teacher_forced(name, model, inputs(name), sequence[:-1])
    assert {kind: len(layers) for kind, layers in expected.items()} == {
        kind: sum(site.kind == kind for site in trace.sites) for kind in expected
    }
    for site in trace.sites:
        theirs = expected[site.kind][site.layer]
        theirs = theirs if site.kind == "encoder" else theirs[:, -N_TOKENS:]
        np.testing.assert_allclose(trace.weights(site), theirs, atol=5e-5 if name == "T5" else 1e-5, rtol=0)
    assert trace.flags == ()
    assert trace.status == "complete"
