"""generate: models inside other modules, models that read images, settings that a model brings along."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from architectures import built as built_architecture
from architectures import eager
from architectures import inputs as inputs_of
from decoders import N_PROMPT, built, inputs
from torch import Tensor, nn

import attnwidget as aw

OPTIONS: dict[str, Any] = {"max_new_tokens": 7, "do_sample": False}


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    with torch.no_grad():
        yield


class Wrapper(nn.Module):
    """Calls `generate` of what is in it, as PEFT does, so that its own forward never runs."""

    def __init__(self, base: Any) -> None:  # noqa: ANN401 - a model of Transformers
        super().__init__()
        self.base, self.config, self.generation_config = base, base.config, base.generation_config

    def generate(self, **kwargs: Any) -> Any:  # noqa: ANN401
        return self.base.generate(**kwargs)


@pytest.mark.parametrize("n_beams", [1, 3])
@pytest.mark.parametrize("name", ["GPT-2", "Llama", "BART"])
@pytest.mark.parametrize("wrapped", [Wrapper, lambda it: torch.compile(it, backend="eager")])
def test_a_model_inside_another_module_is_recorded_as_alone(wrapped: Any, name: str, n_beams: int) -> None:  # noqa: ANN401
    model, options = built(name), OPTIONS | {"num_beams": n_beams, "progress": False}
    alone = aw.generate(model, inputs(name), **options)
    edit = aw.Edit("ablate", site=len(alone.sites) - 1, query=alone.steps[3].position)
    for _ in range(2):
        trace = aw.generate(wrapped(model), inputs(name), edits=[], **options)
        assert [site.name.removeprefix("base.") for site in trace.sites] == [site.name for site in alone.sites]
        for ours, theirs in zip(trace.sites, alone.sites, strict=True):
            assert np.array_equal(trace.weights(ours), alone.weights(theirs))
        assert trace.tokens == alone.tokens
        assert trace.flags == ()
    if n_beams == 1:
        edited = aw.generate(wrapped(model), inputs(name), edits=[edit], **options)
        assert not edited.weights(len(alone.sites) - 1, queries=slice(3, 4)).any()


@pytest.mark.parametrize("more", [{}, {"use_cache": False}, {"num_beams": 2}, {"store": "reduced"}])
@pytest.mark.parametrize("n_read", [1, None])
def test_an_image_that_the_decoder_puts_before_its_tokens(n_read: int | None, more: dict[str, Any]) -> None:
    model: Any = built_architecture("GIT")
    given = {name: it[:1] for name, it in inputs_of("image and text").items()}
    given |= {name: it[:, :n_read] for name, it in given.items() if name != "pixel_values"}
    options = OPTIONS | {"eos_token_id": None, "pad_token_id": 0}
    trace = aw.generate(model, given, progress=False, **options, **more)
    more = {name: it for name, it in more.items() if name != "store"}
    whole = model.generate(**given, **options, **more)[:, :-1]
    given |= {"input_ids": whole, "attention_mask": torch.ones_like(whole)}
    expected = eager(model)(**given, use_cache=False, output_attentions=True).attentions
    decoder = [site for site in trace.sites if site.kind == "decoder"]
    n_image = expected[0].shape[-1] - whole.shape[1]
    assert list(trace.tokens["context"][:n_image]) == [str(i + 1) for i in range(n_image)]
    for site, theirs in zip(decoder, expected, strict=True):
        if site.store == "dense":
            np.testing.assert_allclose(trace.weights(site), theirs[0, :, -7:], atol=1e-5, rtol=0)


def test_a_decoder_that_tells_several_tokens_ahead_has_cross_attention_of_each() -> None:
    model: Any = built_architecture("ProphetNet")
    given = {name: it[:1] for name, it in inputs_of("pair").items() if name != "decoder_input_ids"}
    options = OPTIONS | {"eos_token_id": None, "forced_eos_token_id": None, "num_beams": 1}
    trace = aw.generate(model, given, progress=False, **options)
    output = model.generate(**given, **options, output_attentions=True, return_dict_in_generate=True)
    scores = [[it[0] for it in layers] for layers in output.cross_attentions]  # which it returns in place of weights
    cross = [site for site in trace.sites if site.kind == "cross"]
    assert len(cross) == 2 * 3
    for index, site in enumerate(cross):
        theirs = torch.stack([step[index // 3][:, index % 3].softmax(-1) for step in scores], 1)
        np.testing.assert_allclose(trace.weights(site), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_beams", [1, 2])
def test_what_a_given_configuration_leaves_open_the_model_says(n_beams: int) -> None:
    model, given = built("GPT-2"), inputs("GPT-2", 3)
    end = int(model.generate(**given, **OPTIONS, num_beams=n_beams)[1, N_PROMPT + 2])
    model.generation_config.eos_token_id, model.generation_config.num_beams = end, n_beams
    settings = tf.GenerationConfig(max_new_tokens=7, pad_token_id=0)
    for example in range(3):
        trace = aw.generate(model, given, example=example, progress=False, generation_config=settings)
        wanted = model.generate(**given, generation_config=settings)[example, N_PROMPT:].tolist()
        wanted = wanted[: wanted.index(end) + 1] if end in wanted else wanted
        assert list(trace.tokens["target"]) == [str(it) for it in wanted]
        assert bool(trace.beams) == (n_beams > 1)


class Locked:
    """Holds a lock, which cannot be copied, as streamers for other threads do."""

    def __init__(self) -> None:
        self.lock, self.n_calls = threading.Lock(), 0

    def put(self, _: Tensor) -> None:
        self.n_calls += 1

    def end(self) -> None:
        pass

    def __call__(self, ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        return torch.full((len(ids),), ids.shape[1] > N_PROMPT + 3)


def test_what_cannot_be_copied_may_be_passed() -> None:
    streamer = Locked()
    more = {"streamer": streamer, "stopping_criteria": [Locked()], "logits_processor": None}
    trace = aw.generate(built("GPT-2"), inputs("GPT-2"), progress=False, **OPTIONS, **more)
    assert len(trace.steps) == 4
    n_calls = streamer.n_calls
    assert aw.rerun(trace, ()).tokens == ()
    assert streamer.n_calls == n_calls  # it streamed the first run


@pytest.mark.parametrize("place", ["inputs", "options"])
def test_a_kept_cache_serves_the_first_run_and_each_rerun(place: str) -> None:
    model, given = built("Llama"), inputs("Llama")
    cache = tf.DynamicCache(config=model.config)
    with torch.enable_grad():
        model(given["input_ids"][:, :5], past_key_values=cache)
    own, kept = ({"past_key_values": cache}, {}) if place == "inputs" else ({}, {"past_key_values": cache})
    trace = aw.generate(model, {**given, **own}, progress=False, **OPTIONS, **kept)
    assert cache.get_seq_length() == N_PROMPT + 6
    for _ in range(2):
        again = aw.rerun(trace, ())
        assert again.tokens == ()
        assert not any(change.largest for change in again.changes)


@pytest.mark.parametrize("n_beams", [1, 2])
def test_a_model_that_does_not_attend_is_said_so(n_beams: int) -> None:
    model = built_architecture("Mamba")
    with pytest.raises(aw.CaptureError, match="keep a recurrent state"):
        aw.generate(model, [5, 6, 7], progress=False, **OPTIONS, num_beams=n_beams)


@pytest.mark.parametrize("more", [{}, {"condition_on_prev_tokens": True}])
def test_a_long_input_that_is_read_in_parts_is_refused(more: dict[str, Any]) -> None:
    model = built("Whisper")
    settings = model.generation_config
    settings.lang_to_id, settings.task_to_id, settings.is_multilingual = {"<|en|>": 50}, {"transcribe": 52}, True
    settings.no_timestamps_token_id, settings.prev_sot_token_id, settings.eos_token_id = 44, 43, 2
    settings.max_initial_timestamp_index, settings.return_timestamps, settings.max_length = 3, True, 30
    given = {"input_features": torch.randn(1, 8, 72), "attention_mask": torch.ones(1, 72, dtype=torch.long)}
    options = {"language": "en", "return_timestamps": True, "max_new_tokens": 6, "progress": False}
    with pytest.raises(aw.CaptureError, match="began its output anew"):
        aw.generate(model, given, **options, **more)


def test_distances_beyond_a_static_cache_are_no_other_bias() -> None:
    more = OPTIONS | {"max_new_tokens": 40, "do_sample": True, "cache_implementation": "static", "progress": False}
    traces = []
    for store in ("dense", "qk"):
        torch.manual_seed(1)
        traces.append(aw.generate(built("T5"), inputs("T5"), store=store, **more))
    for site in traces[0].sites:
        np.testing.assert_allclose(traces[1].weights(site.name), traces[0].weights(site), atol=5e-5, rtol=0)


def test_a_text_that_stops_it_is_looked_for_by_the_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = built("GPT-2"), []
    whole = model.generate

    def generate(*, tokenizer: object = None, stop_strings: object = None, **kwargs: Any) -> Any:  # noqa: ANN401
        seen.append((tokenizer, stop_strings))
        return whole(**kwargs)

    class Tokenizer:
        def decode(self, ids: list[int]) -> str:
            return " ".join(map(str, ids))

    monkeypatch.setattr(model, "generate", generate)
    tokenizer = Tokenizer()
    aw.generate(model, inputs("GPT-2"), tokenizer, progress=False, stop_strings=["4"], **OPTIONS)
    aw.generate(model, inputs("GPT-2"), tokenizer, progress=False, **OPTIONS)
    assert seen == [(tokenizer, ["4"]), (None, None)]
