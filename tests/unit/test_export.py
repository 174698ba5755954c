"""An exported page is one file that runs nothing but its own script and asks for nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import socket
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets
from texts import unpacked

from attnwidget import Trace, export

Reader = Callable[[bytes], Any]
SHORT = 5  # names of so few characters stand by chance in what is compressed


class Page(HTMLParser):
    """The elements of a page, each with its attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

        self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = False

    def handle_data(self, data: str) -> None:
        if self.elements and self.open:
            self.elements[-1][2].append(data)

    def text(self, tag: str, place: int = 0) -> str:
        return "".join([text for name, _, text in self.elements if name == tag][place])

    def attributes(self, tag: str, place: int = 0) -> dict[str, str | None]:
        return [attributes for name, attributes, _ in self.elements if name == tag][place]

    def policy(self) -> str:
        (policy,) = (a["content"] for _, a, _ in self.elements if a.get("http-equiv") == "Content-Security-Policy")
        return policy or ""


def chosen(script: dict[str, str | None]) -> tuple[int, int, int]:
    """Return the step, site and head at which a page opens."""
    selection = json.loads(script["data-selection"] or "")
    return selection["step"], selection["site"], selection["head"]


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A front end that holds what could end it."""
    for name in ("LOADER", "STANDALONE"):
        path = tmp_path / f"{name}.js"
        path.write_text(f'const a = "</script>", b = "<!--<script>", c = "</SCRIPT >", d = "{name}";\n', "utf-8")
        monkeypatch.setattr(export, name, path)
    return path


@pytest.fixture
def exported(tmp_path: Path) -> Callable[[Trace], str]:
    def write(trace: Trace) -> str:
        trace.to_html(tmp_path / "run.html")
        return (tmp_path / "run.html").read_text("utf-8")

    return write


def sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_policy_lets_only_the_pages_own_scripts_run(complete: Trace, exported: Callable[[Trace], str]) -> None:
    page = Page(exported(complete))
    code = unpacked(page.text("script", 1)).decode()
    assert f"script-src '{sha256(page.text('script', 2))}' '{sha256(code)}';" in page.policy()
    assert ("LOADER" in page.text("script", 2), "STANDALONE" in code) == (True, True)


def test_the_policy_lets_only_the_pages_own_style_in(complete: Trace, exported: Callable[[Trace], str]) -> None:
    page = Page(exported(complete))
    assert f"style-src '{sha256(page.text('style'))}';" in page.policy()


def test_the_policy_forbids_all_else(complete: Trace, exported: Callable[[Trace], str]) -> None:
    assert Page(exported(complete)).policy().startswith("default-src 'none';")


def test_the_page_asks_for_nothing(complete: Trace, exported: Callable[[Trace], str]) -> None:
    assert re.findall(r"https?:|\bsrc=|\bhref=|url\(", exported(complete)) == []


def test_a_script_that_holds_its_end_does_not_end(complete: Trace, exported: Callable[[Trace], str]) -> None:
    page = Page(exported(complete))
    assert (page.text("script", 2).count("const"), [name for name, _, _ in page.elements].count("script")) == (1, 3)


@pytest.mark.parametrize("title", ["<script>x</script>", "</title><img src=x>", "a & b", '"><b>', "{data}", "<!--"])
def test_a_title_is_only_text(weights: np.ndarray, exported: Callable[[Trace], str], title: str) -> None:
    trace = Trace.from_weights(weights, source=list("abcde"), target=list("wxyz"), title=title)
    page = Page(exported(trace))
    names = [name for name, _, _ in page.elements]
    assert (page.text("title"), names.count("script"), {"img", "b"} & set(names)) == (title, 3, set())


def test_a_title_that_is_no_unicode_is_written(weights: np.ndarray, exported: Callable[[Trace], str]) -> None:
    trace = Trace.from_weights(weights, source=list("abcde"), target=list("wxyz"), title="a\ud800b")
    assert Page(exported(trace)).text("title") == "a?b"


def test_a_trace_without_a_title_has_one(live: Trace, exported: Callable[[Trace], str]) -> None:
    assert Page(exported(live)).text("title") == "Attention"


def test_hostile_tokens_are_not_in_the_page(hostile_texts: list[str], exported: Callable[[Trace], str]) -> None:
    trace = Trace.from_weights(np.full((1, 1, len(hostile_texts)), 0.1), source=hostile_texts, target=["</script>"])
    page = Page(exported(trace))
    expected = ["html", "head", "meta", "meta", "meta", "title", "style", "body", "main", *["script"] * 3]
    assert [name for name, _, _ in page.elements] == expected


def test_hostile_tokens_come_back(
    hostile_texts: list[str], exported: Callable[[Trace], str], read_picture: Reader
) -> None:
    trace = Trace.from_weights(np.full((1, 1, len(hostile_texts)), 0.1), source=hostile_texts, target=["x"])
    data = unpacked(Page(exported(trace)).text("script"))
    assert read_picture(data).header["strips"][0]["texts"] == hostile_texts


def test_weights_come_back(
    complete: Trace, weights: np.ndarray, exported: Callable[[Trace], str], read_picture: Reader
) -> None:
    blocks = read_picture(unpacked(Page(exported(complete)).text("script"))).blocks
    assert all(np.array_equal(blocks[layer, head], weights[layer, head]) for layer in range(2) for head in range(3))


def test_the_page_opens_at_the_last_step_and_the_mean(complete: Trace, exported: Callable[[Trace], str]) -> None:
    told = Page(exported(complete)).attributes("script")
    assert chosen(told) == (3, 0, -1)


def test_the_page_opens_at_what_the_decoder_looks_at(translated: Trace, exported: Callable[[Trace], str]) -> None:
    told = Page(exported(translated)).attributes("script")
    assert chosen(told) == (0, 2, -1)


def test_an_empty_trace_is_a_page_too(exported: Callable[[Trace], str]) -> None:
    assert chosen(Page(exported(Trace())).attributes("script")) == (0, 0, 0)


def test_the_page_opens_as_it_was_asked_to(complete: Trace, tmp_path: Path) -> None:
    complete.to_html(tmp_path / "run.html", step=1, head=2, rows="key", expected=[1, 0.5, 0, 1, 1])
    said = Page((tmp_path / "run.html").read_text("utf-8")).attributes("script")["data-selection"]
    selection = json.loads(said or "")
    assert [selection[name] for name in ("step", "head", "rows", "expectation")] == [1, 2, "key", "own"]


@pytest.mark.parametrize(("asked", "told"), [("zh", "zh"), ("en", "en"), ("auto", "en"), (None, "en")])
def test_a_page_says_which_language_it_speaks(complete: Trace, tmp_path: Path, asked: str | None, told: str) -> None:
    complete.to_html(tmp_path / "run.html", **({"language": asked} if asked else {}))
    assert Page((tmp_path / "run.html").read_text("utf-8")).attributes("html") == {"lang": told}


def test_of_a_head_that_is_too_large_the_chosen_step_is_there(tmp_path: Path, read_picture: Reader) -> None:
    weights = np.random.default_rng(1).random((1, 200, 300), np.float32)
    trace = Trace.from_weights(weights, source=["x"] * 300, target=["y"] * 200)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(export, "PAGE", replace(export.PAGE, whole=100 * 100))
        trace.to_html(tmp_path / "run.html", step=120)
    header = read_picture(unpacked(Page((tmp_path / "run.html").read_text("utf-8")).text("script"))).header
    (queries,) = (block["queries"] for block in header["blocks"] if block["queries"][1] <= 150)
    assert queries[0] <= 120 < queries[1]
    assert queries[0] > 60


@pytest.mark.parametrize(
    ("selection", "error"),
    [
        ({"step": 4}, traitlets.TraitError),
        ({"site": 2}, traitlets.TraitError),
        ({"head": 3}, traitlets.TraitError),
        ({"rows": "both"}, traitlets.TraitError),
        ({"expected": [float("nan")]}, traitlets.TraitError),
        ({"frame": b""}, TypeError),
        ({"colour": "red"}, TypeError),
    ],
)
def test_what_cannot_be_looked_at_is_no_page(
    complete: Trace, tmp_path: Path, selection: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(selection))):
        complete.to_html(tmp_path / "run.html", **selection)
    assert not (tmp_path / "run.html").exists()


def test_a_page_of_one_head_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    weights = np.random.default_rng(0).dirichlet(np.ones(64), 64)
    Trace.from_weights(weights, source=["token"] * 64).to_html(tmp_path / "run.html")
    assert (tmp_path / "run.html").stat().st_size < 90_000


@pytest.fixture
def large() -> Trace:
    """A trace that takes more than one picture: 2 layers of 12 heads over 128 tokens."""
    weights = np.random.default_rng(0).random((2, 12, 128, 128), dtype=np.float32) ** 8
    return Trace.from_weights(weights / weights.sum(-1, keepdims=True), source=["token"] * 128)


def pictures(page: Page) -> list[tuple[str | None, bytes]]:
    """Return the pictures behind the first one: what their elements name, and their bytes."""
    scripts = [(attributes, "".join(texts)) for name, attributes, texts in page.elements if name == "script"]
    return [(told["data-heads"], unpacked(text)) for told, text in scripts if "data-heads" in told]


def test_what_is_looked_at_comes_alone_and_first(
    large: Trace, exported: Callable[[Trace], str], read_picture: Reader
) -> None:
    assert list(read_picture(unpacked(Page(exported(large)).text("script"))).blocks) == [(0, -1)]


def test_all_other_heads_follow_and_are_named(
    large: Trace, exported: Callable[[Trace], str], read_picture: Reader
) -> None:
    found = [(named, read_picture(data).blocks) for named, data in pictures(Page(exported(large)))]
    assert sorted(head for _, blocks in found for head in blocks) == [(site, h) for site in range(2) for h in range(12)]
    assert all(named == " ".join(f"{site}:{head}" for site, head in blocks) for named, blocks in found)


def test_nothing_stands_between_the_elements(large: Trace, exported: Callable[[Trace], str]) -> None:
    left = re.sub(r"<(script|style|title)\b.*?</\1>|<[^>]+>", "", exported(large), flags=re.DOTALL)
    assert left.split() == []


def test_rounded_weights_keep_to_their_row(
    large: Trace, exported: Callable[[Trace], str], read_picture: Reader
) -> None:
    for _, data in pictures(Page(exported(large))):
        for (site, head), got in read_picture(data).blocks.items():
            weights = large.weights(site, head)
            assert (np.abs(got - weights) <= weights.max(-1, keepdims=True) / 510 * 1.0001).all()


def test_pictures_of_heads_are_left_to_the_page_that_has_them(
    large: Trace, exported: Callable[[Trace], str], read_picture: Reader
) -> None:
    header = read_picture(unpacked(Page(exported(large)).text("script"))).header
    assert [(told["n_heads"], told["n_rows"]) for told in header["heads"]] == [(12, 0), (12, 0)]


def test_no_system_changes_what_a_page_holds(large: Trace, tmp_path: Path) -> None:
    large.to_html(tmp_path / "run.html")
    assert not set((tmp_path / "run.html").read_bytes()) & set(b"\0\r\x1a")


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    complete: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.html").write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        complete.to_html(tmp_path / "run.html")
    assert {path.name: path.read_text()[:3] for path in tmp_path.glob("*run*")} == {"run.html": "old"}


def test_a_front_end_that_was_not_built_is_not_found(complete: Trace, tmp_path: Path, script: Path) -> None:
    script.unlink()
    with pytest.raises(FileNotFoundError):
        complete.to_html(tmp_path / "run.html")


@pytest.mark.parametrize("ending", ["html", "svg", "npz", "csv", "attn"])
def test_nothing_of_the_machine_is_written(ending: str, complete: Trace, tmp_path: Path) -> None:
    out = tmp_path / f"out.{ending}"
    complete.save(out) if ending == "attn" else getattr(complete, f"to_{ending}")(out)
    written = with_archived(out.read_bytes())
    names = (str(Path.home()), socket.gethostname(), str(tmp_path), sys.prefix, str(Path(__file__).parents[2]))
    for name in (name for name in names if len(name) > SHORT):
        assert name.encode() not in written, name


def with_archived(data: bytes) -> bytes:
    """Return data with what is compressed in it, as far as zip archives go, beside it as it was."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return data + b"".join(archive.read(name) for name in archive.namelist())
