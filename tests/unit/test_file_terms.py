"""What explains weights is saved and loaded with them, where it is small."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_file_checks import put, rewritten
from test_terms import whys

import attnwidget as aw
from attnwidget import Site, Trace, TraceError, header, load
from attnwidget.seen import Seen
from attnwidget.stores import Factors, Visible

RNG = np.random.default_rng(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.attn"


def told(trace: Trace) -> list[list[str]]:
    return [[str(why) for why in whys(trace, site.name)] for site in trace.sites]


def of_system(name: str, **options: Any) -> Trace:  # noqa: ANN401
    model = aw.models.pretrained(name)
    inputs = model.encode(model.example)
    with aw.record(model, source=inputs, **options) as trace:
        model.run(inputs, on_token=aw.step)
    return trace


@pytest.mark.parametrize("name", ["reverse", "luong-general", "luong-concat", "luong-local-p", "agent", "transformer"])
def test_why_is_answered_alike_after_loading(name: str, path: Path) -> None:
    trace = of_system(name)
    trace.save(path)
    assert told(load(path)) == told(trace)


def test_why_is_answered_alike_in_a_folder(path: Path) -> None:
    trace = of_system("luong-general", save=path)
    assert path.is_dir()
    assert told(load(path)) == told(trace)


@pytest.mark.parametrize("folder", [False, True])
def test_dense_rows_of_queries_and_keys_are_explained(path: Path, folder: bool) -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    if folder:
        trace.save(path)
    for step in range(6):
        if step == 2:
            trace.append({}, token="x")
            continue
        queries, keys = (RNG.normal(size=(2, n, 4)).astype(np.float32) for n in (1, step + 1))
        trace.append({"own": Factors(queries, keys, Visible.causal(1, step + 1), 0.5)}, token="x")
        trace.weights()
    trace.finish()
    trace.save(path)
    assert path.is_dir() == folder
    assert told(load(path)) == told(trace)
    assert load(path).weights().tobytes() == trace.weights().tobytes()


def followed(path: Path, *, looked_at: bool) -> Trace:
    """Return a trace of a dense site to which queries and keys came."""
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    trace.save(path)
    for step in range(9):
        queries, keys = (RNG.normal(size=(2, n, 4)).astype(np.float32) for n in (1, step + 1))
        trace.append({"own": Factors(queries, keys, Visible.causal(1, step + 1), 0.5)}, token="x")
        if looked_at:
            trace.weights()
        trace.save(path)
        assert load(path).weights() == pytest.approx(trace.weights(), abs=1e-6)
    trace.finish()
    return trace


@pytest.mark.parametrize("looked_at", [False, True])
def test_weights_that_follow_from_queries_and_keys_are_not_written(path: Path, looked_at: bool) -> None:
    trace = followed(path, looked_at=looked_at)
    again = load(path)
    assert [file.name for file in path.iterdir() if file.name.startswith("weights")] == []
    assert again.weights() == pytest.approx(trace.weights(), abs=1e-6)
    assert again.strength() == pytest.approx(trace.strength(), abs=1e-5)


def test_rows_that_are_left_out_are_no_trace(path: Path) -> None:
    followed(path, looked_at=True)
    outer = json.loads((path / "manifest.json").read_text())
    inner = json.loads(outer["attnwidget"])
    file = path / inner["arrays"]["came.0"]["file"]
    rows = np.fromfile(file, "<i8").reshape(-1, 3)
    rows[0, 1] -= 1
    rows.tofile(file)
    inner["sites"][0]["crc"]["came"] = zlib.crc32(rows.tobytes())
    text = json.dumps(inner)
    said = {"attnwidget": text, "attnwidget.crc": str(zlib.crc32(text.encode()))}
    (path / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(TraceError, match="leave rows out"):
        load(path)


def test_keys_that_all_steps_share_are_saved_once(path: Path) -> None:
    trace = Trace(source=list("abcdefgh"))
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    keys = RNG.normal(size=(1, 8, 64)).astype(np.float32)
    for _ in range(50):
        query = RNG.normal(size=(1, 1, 64)).astype(np.float32)
        scores = query @ keys.mT
        trace.tell_terms("cross", Seen(scores, (query, keys.copy())))
        weights = np.exp(scores - scores.max())
        trace.append({"cross": weights / weights.sum()}, token="x")
    trace.finish()
    trace.save(path)
    assert path.stat().st_size < 40_000
    assert told(load(path)) == told(trace)


def test_what_is_too_much_is_left_out_and_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = of_system("reverse")
    monkeypatch.setattr(header, "MAX_TOLD", 10)
    with pytest.warns(UserWarning, match="was not saved"):
        trace.save(path)
    again = load(path)
    assert again.terms(0, 0, 0) is None
    assert again.weights().tobytes() == trace.weights().tobytes()


def part(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return put("sites", 0, "terms", 0, name, value)


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "null": put("sites", 0, "terms", None),
    "none": put("sites", 0, "terms", []),
    "a part null": put("sites", 0, "terms", 0, None),
    "a part less": lambda header: header["sites"][0]["terms"].pop(),
    "form": part("form", "cosine"),
    "form list": part("form", []),
    "another form": part("form", "additive"),
    "scale": part("scale", "1"),
    "scale null": part("scale", None),
    "no arrays": part("arrays", {}),
    "arrays list": part("arrays", []),
    "unknown": put("sites", 0, "terms", 0, "arrays", "sinks", [0, 1]),
    "beyond": put("sites", 0, "terms", 0, "arrays", "scores", [0, 1, 1, 10**9]),
    "before": put("sites", 0, "terms", 0, "arrays", "scores", [-1, 1, 1, 2]),
    "half": put("sites", 0, "terms", 0, "arrays", "scores", [0.5, 1, 1, 2]),
    "no place": put("sites", 0, "terms", 0, "arrays", "scores", []),
    "keys": put("sites", 0, "terms", 0, "arrays", "keys", [0, 1, 1, 1]),
    "no numbers": lambda header: header["sites"][0]["crc"].pop("terms"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_terms_that_lie_are_no_trace(path: Path, lie: Callable[[dict[str, Any]], object]) -> None:
    rewritten(of_system("luong-general"), path, lie)
    with pytest.raises(TraceError):
        load(path)


def test_a_file_without_terms_is_read(path: Path) -> None:
    def forget(header: dict[str, Any]) -> str:
        for site in header["sites"]:
            del site["terms"], site["crc"]["terms"]
        return json.dumps(header)

    trace = of_system("luong-general")
    rewritten(trace, path, forget)
    again = load(path)
    assert again.terms(0, 0, 0) is None
    assert again.weights().tobytes() == trace.weights().tobytes()


def test_a_model_of_torch_is_explained_after_loading(path: Path) -> None:
    torch.manual_seed(0)
    attention, words = torch.nn.MultiheadAttention(8, 2, batch_first=True), torch.rand(1, 4, 8)
    with aw.record(attention, source=list("abcd")) as trace:
        attention(words, words, words)
    trace.save(path)
    assert told(load(path)) == told(trace)
