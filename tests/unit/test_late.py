"""What one pass attended to is put in order when somebody looks, and nobody can tell."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import attnwidget as aw
from attnwidget.capture.inventory import named_modules
from attnwidget.outline import Site
from attnwidget.trace import Trace


def llama() -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=24,
    )
    return transformers.LlamaForCausalLM(config).eval()


def ids(n: int) -> torch.Tensor:
    return torch.arange(3, 3 + n)[None]


def recorded(model: torch.nn.Module, n: int = 7, **how: Any) -> Trace:  # noqa: ANN401 - what record takes
    with aw.record(model, **how) as trace, torch.no_grad():
        model(ids(n), use_cache=False)
    return trace


def seen_at_once(model: torch.nn.Module, **how: Any) -> Trace:  # noqa: ANN401 - likewise
    """Record while somebody looks on, so that nothing is put off."""
    trace = Trace()
    trace.observe(lambda _: None)
    return recorded(model, into=trace, **how)


def is_put_off(trace: Trace) -> bool:
    return trace._put_off is not None


@pytest.mark.parametrize("how", [{}, {"store": "dense"}, {"store": "qk"}])
def test_it_is_what_it_would_have_been_at_once(how: dict[str, Any]) -> None:
    model = llama()
    model(ids(4))
    late, once = recorded(model, **how), seen_at_once(model, **how)
    assert is_put_off(late)
    assert not is_put_off(once)
    assert (late.status, late.sites, late.tokens) == ("complete", once.sites, once.tokens)
    assert late.architecture == once.architecture
    for site in once.sites:
        np.testing.assert_array_equal(late.weights(site), once.weights(site))
    assert not is_put_off(late)


@pytest.mark.parametrize("how", [{"source": [*"abcdefg"]}, {"store": "reduced"}])
def test_what_could_be_wrong_or_large_is_not_put_off(how: dict[str, Any]) -> None:
    assert not is_put_off(recorded(llama(), **how))


def test_a_trace_that_has_sites_is_not_put_off() -> None:
    trace = Trace()
    trace.add_site(Site("model.layers.0.self_attn", "decoder", 0, 4, "source", "source"))
    with pytest.raises(ValueError, match="exists already"):
        recorded(llama(), into=trace)


def test_a_mask_is_not_put_off() -> None:
    model = llama()
    mask = torch.tensor([[0, 0, 1, 1, 1]])
    with aw.record(model) as trace, torch.no_grad():
        model(ids(5), attention_mask=mask, use_cache=False)
    assert not is_put_off(trace)


def test_numbers_that_are_none_are_flagged_later() -> None:
    model = llama()
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.weight[0] = float("nan")
    late, once = recorded(model), seen_at_once(model)
    assert is_put_off(late)
    assert late.flags == once.flags != ()


def test_the_model_may_go_before_anybody_looks() -> None:
    model = llama()
    trace = recorded(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert is_put_off(trace)
    assert gone() is None
    assert len(trace.sites) == 2


def test_what_the_model_changes_meanwhile_is_not_seen() -> None:
    model = llama()
    before = seen_at_once(model)
    trace = recorded(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model(ids(7))
    np.testing.assert_array_equal(trace.weights(0), before.weights(0))


def test_looking_while_another_recording_is_open_does_not_meet_it() -> None:
    model = llama()
    first = recorded(model)
    with aw.record(model) as second, torch.no_grad():
        assert len(first.sites) == 2
        model(ids(5), use_cache=False)
    assert [site.n_queries for site in (*first.sites, *second.sites)] == [7, 7, 5, 5]


def test_threads_that_look_at_once_see_all_of_it() -> None:
    model = llama()
    for _ in range(20):
        trace, found, start = recorded(model), [], threading.Barrier(4)

        def look(trace: Trace = trace, found: list[int] = found, start: threading.Barrier = start) -> None:
            start.wait()
            found.append(len(trace.sites) if trace.status == "complete" else -1)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [2, 2, 2, 2]


def test_an_error_is_raised_by_the_first_look_and_stops_the_trace() -> None:
    def fill(trace: Trace) -> None:
        trace.add_site(Site("a", "encoder", 0, 1, "source", "source"))
        raise MemoryError("no room")

    trace = Trace()
    trace.finish_later(fill)
    with pytest.raises(MemoryError, match="no room"):
        _ = trace.sites
    assert (trace.status, len(trace.sites)) == ("stopped", 1)


def test_whoever_looks_on_already_is_told_at_once() -> None:
    trace, seen = Trace(), []
    trace.observe(lambda it: seen.append(it.status))
    trace.finish_later(lambda it: it.add_site(Site("a", "encoder", 0, 1, "source", "source")))
    assert seen[-1] == "complete"


def shapes_of(model: torch.nn.Module, n: int, way: str) -> list[str]:
    x: dict[str, Any] = {} if way == "by place" else {"input_ids": ids(n)}
    cache = {"past_key_values": transformers.DynamicCache()} if way == "with a cache" else {"use_cache": False}
    with aw.record(model) as trace, torch.no_grad():
        model(*([] if x else [ids(n)]), **x, **cache)
    return [node.shape for node in trace.architecture.nodes]


@pytest.mark.parametrize("way", ["by place", "by name", "with a cache"])
def test_each_recording_tells_its_shapes(way: str) -> None:
    model = llama()
    for n in (7, 7, 5, 5, 7):
        assert shapes_of(model, n, way) == shapes_of(llama(), n, way)
    assert shapes_of(model, 7, way) != shapes_of(model, 5, way)
    assert shapes_of(model, 5, "by place") == shapes_of(llama(), 5, "by place")  # after it was called otherwise


def test_a_part_that_is_called_alone_tells_its_shapes() -> None:
    model = llama()
    for _ in range(2):
        recorded(model)
    with aw.record(model) as trace, torch.no_grad():
        model.model(ids(5), use_cache=False)
    assert "1 × 5 × 16" in {node.shape for node in trace.architecture.nodes}


def test_modules_are_those_that_torch_names() -> None:
    shared = torch.nn.Linear(2, 2)
    twice = torch.nn.Sequential(shared, torch.nn.Sequential(shared, torch.nn.ReLU()))
    twice.register_module("nothing", None)
    scripted = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.ReLU())))
    for model in (twice, llama(), torch.nn.Linear(2, 2), torch.nn.Sequential(scripted, shared)):
        expected = list(model.named_modules())
        assert list(named_modules(model)) == [path for path, _ in expected]
        assert all(a is b for a, b in zip(named_modules(model).values(), dict(expected).values(), strict=True))
