"""A file holds a trace whole, is replaced whole, and nothing else is taken for one."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from attnwidget import Site, Trace, TraceError, file, load
from attnwidget.architecture import Architecture, Edge, Node
from attnwidget.disk import WriteError, write_whole
from attnwidget.outline import Asks


def facts(trace: Trace) -> object:
    """All that a file must keep."""
    return (
        trace.title,
        trace.status,
        trace.tokens,
        trace.sites,
        trace.steps,
        trace.flags,
        [trace.weights(site).tobytes() for site in trace.sites],
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.attn"


def again(trace: Trace, path: Path) -> Trace:
    trace.save(path)
    return load(path)


def test_a_complete_trace_comes_back_equal(complete: Trace, path: Path) -> None:
    assert facts(again(complete, path)) == facts(complete)


def test_the_diagram_comes_back_equal(complete: Trace, path: Path) -> None:
    complete.set_architecture(
        Architecture((Node("0", "module", "<b>"), Node("1", "strip", strip="source")), (Edge("1", "0"),))
    )
    assert again(complete, path).architecture == complete.architecture


def test_candidates_come_back_equal(live: Trace, path: Path) -> None:
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die", candidates=[("die", 1 / 3), ("\udcff", 0)])
    assert again(live, path).steps == live.steps


def test_every_hostile_token_comes_back_equal(hostile_texts: list[str], path: Path) -> None:
    weights = np.full((1, 4, len(hostile_texts)), 1 / len(hostile_texts))
    trace = Trace.from_weights(weights, source=hostile_texts, target=hostile_texts[:4], title=hostile_texts[0])
    assert facts(again(trace, path)) == facts(trace)


def test_odd_weights_and_their_flags_come_back_equal(path: Path) -> None:
    weights = np.array([[[np.nan, np.inf, -np.inf, -1, 2]], [[0, 0, 0, 0, 0]]], np.float32)
    trace = Trace.from_weights(weights, source=list("abcde"), target=["x"])
    assert facts(again(trace, path)) == facts(trace)


def test_missing_steps_come_back_equal(live: Trace, path: Path) -> None:
    for weights in ({}, {"cross": np.full((3, 1, 5), 0.2)}, {}):
        live.append(weights, token="x")
    live.finish()
    assert facts(again(live, path)) == facts(live)


def test_a_site_narrower_than_its_strip_comes_back_equal(path: Path) -> None:
    trace = Trace()
    trace.add_site(Site("wide", "encoder", 0, 3, "source", "source"))
    trace.add_site(Site("narrow", "encoder", 1, 2, "source", "source"))
    trace.append({"wide": np.full((3, 4, 5), 0.2), "narrow": np.full((2, 3, 4), 0.25)})
    trace.finish()
    assert facts(again(trace, path)) == facts(trace)


def test_a_trace_that_still_records_comes_back_stopped(live: Trace, path: Path) -> None:
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
    assert again(live, path).status == "stopped"


@pytest.mark.parametrize("status", ["complete", "stopped"])
def test_the_end_of_a_trace_comes_back(live: Trace, path: Path, status: Literal["complete", "stopped"]) -> None:
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
    live.finish(status)
    assert again(live, path).status == status


@pytest.mark.parametrize("asks", get_args(Asks))
def test_how_a_site_asks_comes_back(asks: Asks, path: Path) -> None:
    trace = Trace()
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source", asks=asks))
    trace.append({"cross": np.full((1, 1, 2), 0.5)}, token="die")
    trace.finish()
    assert again(trace, path).sites[0].asks == asks


def test_an_empty_trace_comes_back_empty(path: Path) -> None:
    assert facts(again(Trace(), path)) == facts(Trace())


TEXT = st.text(st.characters(exclude_categories=[]), max_size=4).filter(
    lambda text: text == json.loads(json.dumps(text))  # two lone surrogates in a row are one character to JSON
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_trace_comes_back_equal(tmp_path: Path, data: st.DataObject) -> None:
    n_heads, n_queries, n_keys = (data.draw(st.integers(1, 4)) for _ in range(3))
    trace = Trace(title=data.draw(TEXT), source=data.draw(st.lists(TEXT, min_size=n_keys, max_size=n_keys)))
    trace.add_site(Site(data.draw(TEXT), "cross", data.draw(st.integers(0, 9)), n_heads, "target", "source"))
    numbers = st.lists(st.floats(width=32), min_size=n_heads * n_keys, max_size=n_heads * n_keys)
    for _ in range(n_queries):
        rows = np.array(data.draw(numbers), np.float32).reshape(n_heads, 1, n_keys)
        candidates = data.draw(st.lists(st.tuples(TEXT, st.floats(0, 1)), max_size=2))
        trace.append({trace.sites[0].name: rows}, token=data.draw(TEXT), candidates=candidates)
    trace.finish(data.draw(st.sampled_from(["complete", "stopped"])))
    assert facts(again(trace, tmp_path / "any.attn")) == facts(trace)


# -- written whole or not at all


def test_a_write_that_fails_leaves_the_old_file(complete: Trace, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="the trace was not written: No space left") as error:
        complete.save(path)
    assert (error.value.errno, error.value.filename) == (28, str(path))
    assert path.read_bytes() == b"old"


def test_a_write_that_fails_leaves_no_other_file(complete: Trace, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        complete.save(path)
    assert list(path.parent.iterdir()) == []


def test_a_write_leaves_only_its_file(complete: Trace, path: Path) -> None:
    complete.save(path)
    complete.save(path)
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_can_be_read_by_whom_the_umask_lets(path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(path, b"new")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_keeps_its_mode(path: Path) -> None:
    path.write_bytes(b"old")
    path.chmod(0o604)
    write_whole(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o604


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    write_whole(path, b"new")
    assert (path.is_symlink(), (tmp_path / "elsewhere").read_bytes()) == (True, b"new")


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("x" * 250), b"new")
    assert (tmp_path / ("x" * 250)).read_bytes() == b"new"


@pytest.mark.parametrize("name", ["no/such/folder.attn", "."])
def test_a_place_that_cannot_be_written_is_an_error_of_the_system(complete: Trace, tmp_path: Path, name: str) -> None:
    with pytest.raises((FileNotFoundError, IsADirectoryError, PermissionError)):
        complete.save(tmp_path / name)


# -- around reading and writing


@pytest.mark.parametrize("is_on", [True, False])
def test_reading_leaves_the_collection_of_garbage_as_it_was(complete: Trace, path: Path, is_on: bool) -> None:
    complete.save(path)
    before, seen = gc.isenabled(), []
    try:
        (gc.enable if is_on else gc.disable)()
        load(path)
        seen.append(gc.isenabled())
        path.write_bytes(b"no trace")
        with pytest.raises(TraceError):
            load(path)
        seen.append(gc.isenabled())
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [is_on, is_on]


def test_no_garbage_is_looked_for_while_a_file_is_read(
    complete: Trace, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete.save(path)
    seen = []
    monkeypatch.setattr(file, "rebuilt", lambda *_: seen.append(gc.isenabled()))
    load(path)
    assert seen == [False]


def test_a_file_that_is_no_safetensors_file_is_said_to_be_none(path: Path) -> None:
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{]")
    with pytest.raises(TraceError) as error:
        load(str(path))
    assert str(error.value).startswith(f"{path} is not a whole trace file (")
    assert str(error.value).endswith(
        "). It was cut short, or something else wrote it; arrays of weights become a trace with Trace.from_weights."
    )


def test_what_safetensors_does_not_write_is_an_error_of_the_trace(
    complete: Trace, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise SafetensorError("no room")

    monkeypatch.setattr("safetensors.numpy.save_file", fail)
    with pytest.raises(WriteError) as error:
        complete.save(path)
    assert str(error.value) == f"the trace was not written to {path}: no room"
    assert list(path.parent.iterdir()) == []


def test_a_trace_that_could_not_be_read_again_is_not_written(
    complete: Trace, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.disk.MAX_TEXT_COST", 100)
    with pytest.raises(WriteError) as error:
        complete.save(path)
    assert str(error.value).startswith(f"the trace was not written to {path}: its tokens and steps need ")
    assert not path.exists()


@pytest.fixture
def folder(complete: Trace, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose reader does not wait."""
    (trace := Trace()).save(path)
    trace.finish()
    monkeypatch.setattr(file.time, "sleep", lambda _: None)
    return path


@pytest.mark.parametrize("n_missing", [1, 4])
def test_a_folder_is_read_anew_where_files_were_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, n_missing: int
) -> None:
    read, tried = file.folder_parts, []

    def parts(path: Path, *, verify: bool) -> object:
        tried.append(verify)
        if len(tried) <= n_missing:
            raise FileNotFoundError
        return read(path, verify=verify)

    monkeypatch.setattr(file, "folder_parts", parts)
    assert load(folder, verify=True).status == "complete"
    assert tried == [True] * (n_missing + 1)


def test_a_folder_that_stays_without_a_file_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def parts(path: Path, *, verify: bool) -> object:
        tried.append(verify)
        raise FileNotFoundError

    monkeypatch.setattr(file, "folder_parts", parts)
    with pytest.raises(
        TraceError, match=r" is not a trace of this version: one of the files that its manifest names is"
    ):
        load(folder)
    assert tried == [False] * 5


def test_a_trace_that_is_followed_is_written_where_it_is_saved_again(path: Path, tmp_path: Path) -> None:
    trace = Trace(source=list("ab"))
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    trace.save(path)
    trace.append({"cross": np.full((1, 1, 2), 0.5)}, token="x")
    trace.save(path)  # now, and not a while later
    assert facts(load(path))[2:] == facts(trace)[2:]
    trace.save(tmp_path / "other")
    trace.append({"cross": np.full((1, 1, 2), 0.5)}, token="y")
    trace.finish()
    assert facts(load(path)) == facts(load(tmp_path / "other")) == facts(trace)
    assert path.is_dir()
    trace.save(path)
    assert path.is_dir()
    assert facts(load(path)) == facts(trace)
