"""generate: batches, padding, ends, drafts, features in place of tokens, and whatever else a call may ask for."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from architectures import built as built_architecture
from decoders import N_PROMPT, built, inputs, teacher_forced
from torch import Tensor

import attnwidget as aw

OPTIONS: dict[str, Any] = {"max_new_tokens": 7, "do_sample": False}


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    with torch.no_grad():
        yield


def both(
    model: Any,  # noqa: ANN401 - of Transformers
    given: dict[str, Any],
    *,
    row: int = 0,
    n_given: int = N_PROMPT,
    **more: Any,  # noqa: ANN401 - what generate takes
) -> tuple[aw.Trace, Tensor]:
    """Return a trace and what came out without it; their tokens are the same."""
    example = more.pop("example", None)
    store = more.pop("store", "auto")
    options = OPTIONS | more
    torch.manual_seed(1)
    trace = aw.generate(
        model, copy.deepcopy(given), example=example, store=store, progress=False, **copy.deepcopy(options)
    )
    torch.manual_seed(1)
    sequence = model.generate(**copy.deepcopy(given), **options)[row]
    end = options.get("eos_token_id")
    wanted = sequence[n_given:].tolist()
    wanted = wanted[: wanted.index(end) + 1] if end in wanted else wanted
    assert list(trace.tokens["target"]) == [str(it) for it in wanted]
    return trace, sequence[: n_given + len(wanted)]


def check(name: str, model: Any, given: dict[str, Tensor], trace: aw.Trace, sequence: Tensor) -> None:  # noqa: ANN401
    n_steps = len(trace.steps)
    expected = teacher_forced(name, model, given, sequence[:-1])
    for site in trace.sites:
        theirs = expected[site.kind][site.layer]
        theirs = theirs if site.kind == "encoder" else theirs[:, -n_steps:]
        np.testing.assert_allclose(trace.weights(site), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_beams", [1, 3])
@pytest.mark.parametrize(("name", "n_given"), [("GPT-2", N_PROMPT), ("BART", 1)])
def test_one_example_of_a_batch_is_recorded(name: str, n_given: int, n_beams: int) -> None:
    model, given = built(name), inputs(name, 3)
    trace, sequence = both(model, given, row=2, n_given=n_given, example=2, num_beams=n_beams)
    check(name, model, {key: it[2:] for key, it in given.items()}, trace, sequence)


def test_the_first_of_several_sequences_is_recorded() -> None:
    model, given = built("Llama"), inputs("Llama", 2)
    more = {"example": 1, "num_return_sequences": 3, "do_sample": True}
    trace, sequence = both(model, given, row=3, **more)
    check("Llama", model, given, trace, sequence)


def test_a_line_says_how_fast_tokens_come(capsys: pytest.CaptureFixture[str]) -> None:
    aw.generate(built("GPT-2"), inputs("GPT-2"), **OPTIONS)
    assert "7/7" in (line := capsys.readouterr().err)
    assert "tokens/s" in line


BAD: dict[str, tuple[object, dict[str, Any], type[Exception], str]] = {
    "text without a tokenizer": ("a text", {}, TypeError, "a text came, and no tokenizer"),
    "a batch": (torch.ones(2, 5, dtype=torch.long), {}, aw.CaptureError, "a batch of 2 examples came"),
    "no such example": (torch.ones(2, 5, dtype=torch.long), {"example": 2}, aw.CaptureError, "example 2 was asked for"),
    "features": (torch.ones(2, 5), {}, ValueError, r"torch.float32 of shape \(2, 5\) came"),
    "nothing": ([], {}, ValueError, r"shape \(0,\) came"),
    "None": (None, {}, TypeError, "NoneType came"),
    "no such store": ([5, 6], {"store": "sparse"}, ValueError, "'sparse' came, one of"),
    "beams without one set of keys": ([5, 6], {"store": "qk", "num_beams": 2}, ValueError, "'qk' came with beams"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_generated_from_is_refused(case: str) -> None:
    given, more, error, says = BAD[case]
    with pytest.raises(error, match=says):
        aw.generate(built("GPT-2"), given, progress=False, **OPTIONS, **more)


def test_a_model_that_cannot_generate_is_refused() -> None:
    with pytest.raises(aw.CaptureError, match=r"Linear has no generate\(\).*aw\.step"):
        aw.generate(torch.nn.Linear(2, 2), [1])
    with pytest.raises(TypeError, match="str came, a model of Transformers"):
        aw.generate("gpt2", [1])  # type: ignore[arg-type]


def test_candidates_are_decoded_behind_what_was_read() -> None:
    class Words:
        def decode(self, ids: list[int]) -> str:
            return " ".join(f"w{it}" for it in ids)

    trace = aw.generate(built("GPT-2"), inputs("GPT-2"), Words(), progress=False, **OPTIONS)
    assert all(step.candidates[0].token == step.token for step in trace.steps)
    assert trace.steps[0].token.startswith(" w")


def test_a_model_that_attends_to_nothing_says_so() -> None:
    with pytest.raises(aw.CaptureError, match=r"MambaMixer x2\) keep a recurrent state"):
        aw.generate(built_architecture("Mamba"), [5, 6, 7], progress=False, **OPTIONS)


def test_rows_of_lost_beams_are_forgotten_and_the_winner_keeps_its_own() -> None:
    model, given = built("GPT-2"), inputs("GPT-2")
    trace, sequence = both(model, given, num_beams=4, max_new_tokens=20)
    check("GPT-2", model, given, trace, sequence)
    end = int(sequence[N_PROMPT + 12])
    trace, sequence = both(model, given, num_beams=4, max_new_tokens=20, eos_token_id=end)
    check("GPT-2", model, given, trace, sequence)
    assert trace.flags == ()


def test_a_bias_that_counts_from_the_first_key_is_not_kept_as_queries_and_keys() -> None:
    config = copy.deepcopy(built("Falcon").config)
    config.alibi = True
    model = type(built("Falcon"))(config).eval()
    with pytest.raises(aw.CaptureError, match=r"self_attention: .* no matter of distance\. Use store='dense'"):
        aw.generate(model, [5, 6, 7], store="qk", progress=False, **OPTIONS)
    assert aw.generate(model, [5, 6, 7], progress=False, **OPTIONS).flags == ()
