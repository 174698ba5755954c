"""generate: batches, padding, ends, drafts, features in place of tokens, and whatever else a call may ask for."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from architectures import built as built_architecture
from architectures import inputs as inputs_of
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


@pytest.mark.parametrize("store", ["dense", "qk"])
def test_padding_before_a_prompt_gets_nothing(store: str) -> None:
    given = inputs("Llama", 2)
    for it in given.values():
        it[1, :4] = 0
    trace, _ = both(built("Llama"), given, row=1, example=1, store=store)
    assert not trace.weights(0)[..., :4].any()
    assert trace.flags == ()


@pytest.mark.parametrize("example", [0, 1])
@pytest.mark.parametrize("n_beams", [1, 3])
def test_a_sequence_ends_where_the_model_ends_it(n_beams: int, example: int) -> None:
    model, given = built("GPT-2"), inputs("GPT-2", 2)
    end = int(model.generate(**given, **OPTIONS)[0, N_PROMPT + 3])
    both(model, given, row=example, example=example, eos_token_id=end, num_beams=n_beams, max_new_tokens=12)


DRAFTS: dict[str, dict[str, Any]] = {
    "prompt lookup": {"prompt_lookup_num_tokens": 3},
    "early exit": {"assistant_early_exit": 1},
    "guidance": {"guidance_scale": 1.5},
}


@pytest.mark.parametrize("mode", DRAFTS)
def test_passes_that_chose_nothing_are_left_out(mode: str) -> None:
    ids = torch.tensor([[5, 6, 7, 8, 5, 6, 7, 8, 5]])
    model, given = built("Llama"), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    trace, sequence = both(model, given, **DRAFTS[mode])
    check("Llama", model, given, trace, sequence)


@pytest.mark.parametrize("attention", ["eager", "flex_attention", "sdpa"])
def test_every_implementation_attends_alike(attention: str) -> None:
    model, given = built("Llama"), inputs("Llama")
    model.set_attn_implementation(attention)
    trace, sequence = both(model, given)
    check("Llama", model, given, trace, sequence)


@pytest.mark.parametrize("cache", ["static", None])
def test_a_compiled_model_generates(cache: str | None) -> None:
    model, given = built("Llama"), inputs("Llama")
    expected = model.generate(**given, **OPTIONS, cache_implementation=cache)[0]
    compiled = torch.compile(model, backend="eager")
    trace = aw.generate(compiled, given, progress=False, **OPTIONS, cache_implementation=cache)
    assert list(trace.tokens["target"]) == [str(it) for it in expected[N_PROMPT:].tolist()]
    check("Llama", model, given, trace, expected)


def test_a_prompt_may_be_in_a_cache_already() -> None:
    model, given = built("Llama"), inputs("Llama")
    cache = tf.DynamicCache(config=model.config)
    model(given["input_ids"][:, :5], past_key_values=cache)
    trace, sequence = both(model, {**given, "past_key_values": cache})
    check("Llama", model, given, trace, sequence)


def test_features_may_stand_in_place_of_tokens() -> None:
    model, given = built("GPT-2"), inputs("GPT-2")
    features = {
        "inputs_embeds": model.get_input_embeddings()(given["input_ids"]),
        "attention_mask": given["attention_mask"],
    }
    trace, sequence = both(model, features, n_given=0)
    check("GPT-2", model, given, trace, torch.cat([given["input_ids"][0], sequence]))
    assert list(trace.tokens["context"])[:N_PROMPT] == [str(i + 1) for i in range(N_PROMPT)]


def test_an_image_in_a_prompt_has_a_strip_of_its_own() -> None:
    model, given = built_architecture("LLaVA"), inputs_of("image in text")
    one = {name: it[:1] for name, it in given.items()}
    trace, _ = both(model, one, n_given=one["input_ids"].shape[1], pad_token_id=0, eos_token_id=None)
    kinds = {(site.kind, site.query, site.key) for site in trace.sites}
    assert ("decoder", "target", "context") in kinds
    vision = [site for site in trace.sites if site.kind == "encoder"]
    assert vision
    assert all(site.key not in ("source", "context") for site in vision)
    assert trace.flags == ()


def test_what_a_person_passes_is_kept() -> None:
    class Streamer:
        def __init__(self) -> None:
            self.n_tokens = 0

        def put(self, value: Tensor) -> None:
            self.n_tokens += value.numel()

        def end(self) -> None:
            self.n_tokens = -self.n_tokens

    streamer, seen = Streamer(), []
    processors = tf.LogitsProcessorList([lambda ids, scores: seen.append(ids.shape[1]) or scores])
    more = {"streamer": streamer, "logits_processor": processors, "return_dict_in_generate": True}
    trace = aw.generate(built("GPT-2"), inputs("GPT-2"), progress=False, **OPTIONS, **more)
    assert streamer.n_tokens == -(N_PROMPT + 7)
    assert seen == list(range(N_PROMPT, N_PROMPT + 7))
    assert len(processors) == 1
    assert len(trace.steps) == 7


@pytest.mark.parametrize("n_beams", [2, 4])
def test_beams_are_kept_as_a_tree(n_beams: int) -> None:
    model, given = built("BART"), inputs("BART")
    trace, _ = both(model, given, n_given=1, num_beams=n_beams)
    winners = [beam for beam in trace.beams if beam.chosen]
    assert [beam.token for beam in winners] == list(trace.tokens["target"])
    assert {beam.step for beam in trace.beams} == set(range(7))
    assert sum(beam.step == 2 for beam in trace.beams) == n_beams
    for beam in trace.beams:
        assert 0 < beam.probability <= 1
        assert beam.parent == -1 or trace.beams[beam.parent].step == beam.step - 1


def test_a_trace_grows_while_the_model_generates() -> None:
    shown, lengths = aw.Trace(title="live"), []
    shown.observe(lambda trace: lengths.append(len(trace.steps)))
    assert aw.generate(built("GPT-2"), inputs("GPT-2"), into=shown, progress=False, **OPTIONS) is shown
    assert sorted(set(lengths)) == list(range(8))


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
