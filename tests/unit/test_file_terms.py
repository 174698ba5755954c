"""What explains weights is saved and loaded with them, where it is small."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_file_checks import drop, put, rewritten
from test_terms import whys

import attnwidget as aw
from attnwidget import Site, Trace, TraceError, header, load
from attnwidget.booked import booked, unbooked
from attnwidget.seen import Seen, TermsBook
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


@pytest.fixture(scope="module")
def general() -> Trace:
    return of_system("luong-general")


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


def place(name: str, *numbers: object) -> Callable[[dict[str, Any]], object]:
    return put("sites", 0, "terms", 0, "arrays", name, list(numbers))


def part(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return put("sites", 0, "terms", 0, name, value)


OTHER, SHAPE = "its terms are of other rows than its weights", "its terms have another shape or type than it says"
FORM, FIT = "its terms have an unknown form", "its terms do not fit each other"
LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {  # and how the sentence goes on that refuses it
    "null": (put("sites", 0, "terms", None), "terms is NoneType where list was expected"),
    "none": (put("sites", 0, "terms", []), OTHER),
    "a part null": (put("sites", 0, "terms", 0, None), "'NoneType' object"),
    "a part less": (drop("sites", 0, "terms", -1), OTHER),
    "form": (part("form", "cosine"), FORM),
    "form list": (part("form", []), FORM),
    "another form": (part("form", "additive"), FIT),
    "scale": (part("scale", "1"), FORM),
    "scale int": (part("scale", 1), FORM),
    "scale null": (part("scale", None), FORM),
    "no arrays": (part("arrays", {}), "'scores'"),
    "arrays list": (part("arrays", []), "'list' object"),
    "unknown": (place("sinks", 0, 1), "its terms hold what is unknown"),
    "beyond": (place("scores", 0, 1, 1, 10**9), "its terms are not all there"),
    "before": (place("scores", -1, 1, 1, 2), SHAPE),
    "half": (place("scores", 0.5, 1, 1, 2), SHAPE),
    "half a row": (place("scores", 0, 1, 1.0, 2), SHAPE),
    "no axes": (place("scores", 0), SHAPE),
    "an axis more": (place("scores", 0, 1, 1, 1, 2), SHAPE),
    "no row": (place("scores", 0, 1, 0, 2), SHAPE),
    "no place": (place("scores"), "not enough values to unpack"),
    "keys": (place("keys", 0, 1, 1, 1), FIT),
    "no numbers": (lambda header: header["sites"][0]["crc"].pop("terms") and None, "'terms'"),
}


@pytest.mark.parametrize(("lie", "said"), LIES.values(), ids=LIES.keys())
def test_terms_that_lie_are_no_trace(
    general: Trace, path: Path, lie: Callable[[dict[str, Any]], object], said: str
) -> None:
    rewritten(general, path, lie)
    with pytest.raises(TraceError, match="^" + re.escape(f"{path} is not a trace of this version: {said}")):
        load(path)


def parts_of(numbers: np.ndarray, form: str, arrays: dict[str, tuple[int, ...]], n_heads: int = 2) -> TermsBook:
    """Return the book of one part whose arrays follow each other."""
    places, offset = {}, 0
    for name, shape in arrays.items():
        places[name], offset = [offset, *shape], offset + int(np.prod(shape))
    said = [{"form": form, "scale": 0.5, "arrays": places}]
    return unbooked(numbers, said, n_heads, arrays["scores"][1])


DOT = {"scores": (2, 3, 4), "queries": (2, 3, 5), "keys": (2, 4, 5)}
ADDITIVE = {"scores": (2, 3, 4), "pairs": (2, 3, 4, 6), "vector": (6,)}
NUMBERS = RNG.normal(size=500).astype("<f4")


@pytest.mark.parametrize(
    ("form", "arrays"),
    [("dot", DOT), ("dot", {**DOT, "keys": (1, 4, 5)}), ("additive", ADDITIVE), ("", {"scores": (2, 3, 4)})],
)
def test_parts_that_fit_each_other_are_read(form: str, arrays: dict[str, tuple[int, ...]]) -> None:
    book = parts_of(NUMBERS, form, arrays)
    (terms,) = book.resolved()
    assert (book.n_queries, terms.form, terms.scale) == (3, form, 0.5)
    offset = 0
    for name, shape in arrays.items():
        size = int(np.prod(shape))
        assert getattr(terms, name).tolist() == NUMBERS[offset : offset + size].reshape(shape).tolist()
        offset += size


@pytest.mark.parametrize(
    ("form", "arrays"),
    [
        ("dot", {**DOT, "scores": (1, 3, 4)}),
        ("dot", {**DOT, "queries": (1, 3, 5)}),
        ("dot", {**DOT, "queries": (2, 2, 5)}),
        ("dot", {**DOT, "queries": (2, 3, 4)}),
        ("dot", {**DOT, "keys": (2, 3, 5)}),
        ("dot", {**DOT, "keys": (2, 4, 3)}),
        ("dot", {**DOT, "keys": (3, 4, 5)}),
        ("dot", {"scores": (2, 3, 4), "keys": (2, 4, 5)}),
        ("dot", {"scores": (2, 3, 4), "queries": (2, 3, 5)}),
        ("dot", ADDITIVE),
        ("additive", DOT),
        ("additive", {**ADDITIVE, "pairs": (2, 3, 3, 6)}),
        ("additive", {**ADDITIVE, "vector": (5,)}),
        ("additive", {"scores": (2, 3, 4), "pairs": (2, 3, 4, 6)}),
        ("additive", {"scores": (2, 3, 4), "vector": (6,)}),
        ("", {"scores": (2, 3, 4), "pairs": (2, 3, 4, 6)}),
        ("", {"scores": (2, 3, 4), "keys": (2, 4, 5)}),
    ],
)
def test_parts_that_do_not_fit_are_refused(form: str, arrays: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=rf"^{FIT}$"):
        parts_of(NUMBERS, form, arrays)


def test_numbers_of_another_type_or_shape_are_refused() -> None:
    for numbers in (NUMBERS.astype("<f8"), NUMBERS.reshape(2, -1)):
        with pytest.raises(ValueError, match=rf"^{SHAPE}$"):
            parts_of(numbers, "dot", DOT)


def test_numbers_reach_just_to_the_end() -> None:
    size = sum(int(np.prod(shape)) for shape in DOT.values())
    parts_of(NUMBERS[:size], "dot", DOT)
    with pytest.raises(ValueError, match=r"^its terms are not all there$"):
        parts_of(NUMBERS[: size - 1], "dot", DOT)


@pytest.mark.parametrize("form", ["dot", "additive", ""])
def test_a_book_is_the_same_after_it_was_one_array(form: str) -> None:
    arrays = {"dot": DOT, "additive": ADDITIVE, "": {"scores": (2, 3, 4)}}[form]
    book = parts_of(NUMBERS, form, arrays)
    told = booked(book)
    assert told is not None
    numbers, said = told
    assert (numbers.dtype, numbers.size) == (np.float32, sum(int(np.prod(shape)) for shape in arrays.values()))
    (again,), (terms,) = unbooked(numbers, said, 2, 3).resolved(), book.resolved()
    assert (again.form, again.scale) == (terms.form, terms.scale)
    assert all(np.array_equal(getattr(again, name), getattr(terms, name)) for name in arrays)


def test_an_empty_book_is_no_array() -> None:
    assert booked(TermsBook()) is None


def test_a_file_without_terms_is_read(general: Trace, path: Path) -> None:
    def forget(header: dict[str, Any]) -> str:
        for site in header["sites"]:
            del site["terms"], site["crc"]["terms"]
        return json.dumps(header)

    rewritten(general, path, forget)
    again = load(path)
    assert again.terms(0, 0, 0) is None
    assert again.weights().tobytes() == general.weights().tobytes()


def test_a_model_of_torch_is_explained_after_loading(path: Path) -> None:
    torch.manual_seed(0)
    attention, words = torch.nn.MultiheadAttention(8, 2, batch_first=True), torch.rand(1, 4, 8)
    with aw.record(attention, source=list("abcd")) as trace:
        attention(words, words, words)
    trace.save(path)
    assert told(load(path)) == told(trace)
