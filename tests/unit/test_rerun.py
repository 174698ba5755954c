"""rerun: the same run again, what an edit changed in it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoders import built, inputs

import attnwidget as aw

OPTIONS: dict[str, Any] = {"max_new_tokens": 8, "min_new_tokens": 8, "progress": False}


def run(name: str = "GPT-2", **more: Any) -> aw.Trace:  # noqa: ANN401
    torch.manual_seed(5)
    return aw.generate(built(name), inputs(name), **(OPTIONS | {"do_sample": False} | more))


@pytest.mark.parametrize("more", [{}, {"do_sample": True}, {"num_beams": 3}])
def test_a_run_without_edits_is_the_same_again(more: dict[str, Any]) -> None:
    trace = run(**more)
    state = torch.get_rng_state()
    again = aw.rerun(trace, ())
    assert torch.equal(torch.get_rng_state(), state)
    assert again.tokens == ()
    assert again.first is None
    for site in trace.sites:
        assert np.array_equal(trace.weights(site), again.after.weights(site.name))
    assert "None of the 8 tokens changed" in str(again)
    assert all(change.largest == 0 for change in again.changes)


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "BART", "T5"])
def test_tokens_and_weights_that_changed_are_named(name: str) -> None:
    trace = run(name)
    last = [site for site in trace.sites if site.query == "target"][-1]
    found = aw.rerun(trace, aw.Edit("ablate", site=last))
    assert found.before is trace
    assert found.edits == (aw.Edit("ablate", site=last),)
    old, new = ([step.token for step in it.steps] for it in (trace, found.after))
    assert found.tokens == tuple((i, a, b) for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)
    change = next(it for it in found.changes if it.site == last.name)
    until = len(old) if found.first is None else found.first + 1
    np.testing.assert_allclose(change.largest, trace.weights(last, queries=slice(until)).max(), atol=1e-6)
    assert last.name in str(found)


def test_an_edited_run_equals_the_same_edits_from_the_start() -> None:
    edits = [aw.Edit("bias", site=0, key=0, value=5.0), aw.Edit("mean", site=1, head=[0, 2])]
    expected, found = run(edits=edits), aw.rerun(run(), edits).after
    assert found.tokens == expected.tokens
    for site in found.sites:
        assert np.array_equal(found.weights(site), expected.weights(site.name))


def test_edits_of_the_first_run_are_those_of_the_second_unless_they_are_left() -> None:
    names = [site.name for site in run().sites]
    first, second = aw.Edit("bias", site=names[0], key=0, value=5.0), aw.Edit("mean", site=names[1], head=[0, 2])
    trace, both, plain = run(edits=first), run(edits=[first, second]), run()
    assert not np.array_equal(trace.weights(0), plain.weights(0))
    on_top, alone, none = (
        aw.rerun(trace, second),
        aw.rerun(trace, second, keep=False),
        aw.rerun(trace, (), keep=False),
    )
    for found, expected in ((on_top, both), (alone, run(edits=second)), (none, plain), (aw.rerun(trace, ()), trace)):
        assert found.after.edits == expected.edits
        for site in expected.sites:
            assert np.array_equal(found.after.weights(site.name), expected.weights(site.name))
    assert (on_top.kept, on_top.edits) == ((first,), (second,))
    assert aw.rerun(on_top.after, ()).kept == (first, second)
    assert str(on_top).startswith(f"Decoded again with {second}. Both runs have {first}.\n")
    assert str(none).startswith(f"Decoded again with no edit. The first run had {first}, this one has not.\n")


def test_a_trace_knows_its_edits_also_from_a_file(tmp_path: Path) -> None:
    edit = aw.Edit("bias", site=0, key=0, value=5.0)
    trace = run(edits=edit, save=tmp_path / "grown.attn")
    assert trace.edits == (str(edit),)
    assert run().edits == ()
    trace.save(tmp_path / "whole.attn")
    for name in ("grown.attn", "whole.attn"):
        assert aw.load(tmp_path / name).edits == (str(edit),)


def test_a_run_can_grow_in_a_trace_that_is_shown() -> None:
    shown = aw.Trace(title="what if")
    assert aw.rerun(run(), aw.Edit("ablate", site=0), into=shown).after is shown
    assert shown.status == "complete"


def test_a_run_that_kept_queries_and_keys_can_be_edited() -> None:
    assert aw.rerun(run(store="qk"), aw.Edit("ablate", site=0)).changes


def test_only_what_was_generated_can_be_run_again() -> None:
    model = built("GPT-2")
    with aw.record(model) as trace:
        model(**inputs("GPT-2"))
    with pytest.raises(aw.CaptureError, match="nobody knows how to decode it again"):
        aw.rerun(trace, ())
    with pytest.raises(TypeError, match="GPT2LMHeadModel came"):
        aw.rerun(model, ())  # type: ignore[arg-type]
