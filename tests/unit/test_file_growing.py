"""A trace that is still recorded is followed into a folder, which is a whole trace of its steps at any time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle import cut, random_factors

import attnwidget as aw
from attnwidget import Site, Trace, TraceError, follower, load
from attnwidget.disk import WriteError
from attnwidget.folder import MANIFEST
from attnwidget.stores import Factors, Visible

RNG = np.random.default_rng(3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.attn"


def facts(trace: Trace) -> object:
    """All that a folder must keep; weights that are computed of queries and keys are rounded anew."""
    states = [record.store.state() for record in trace.ledger.records.values()]
    return (
        trace.title,
        trace.tokens,
        trace.sites,
        trace.steps,
        trace.beams,
        trace.ledger.strips.n_read,
        [
            ({name: (it.dtype, it.shape, np.asarray(it).tobytes()) for name, it in arrays.items()}, more)
            for arrays, more in states
        ],
    )


def rows(n_heads: int, n_keys: int, n_queries: int = 1) -> np.ndarray:
    return RNG.dirichlet(np.ones(n_keys), (n_heads, n_queries)).astype(np.float32)


def step_of(trace: Trace, step: int, *, missing: bool = False) -> None:
    """Append a step to the four sites of `growing`."""
    n_seen = step + 3
    parts: dict[str, Any] = {"cross": rows(3, 5), "own": rows(2, n_seen), "reduced": rows(2, n_seen)}
    if not missing:
        queries, keys = (RNG.normal(size=(4, n, 8)).astype(np.float16) for n in (1, 1 if step else n_seen))
        mask = np.ones((1, n_seen), bool)
        mask[0, 1 : 1 + step % 3] = False
        parts["qk"] = Factors(queries, keys, Visible.of(mask), 0.3, first_key=n_seen - keys.shape[1], first_query=step)
    trace.append(parts, token=f"t{step}", candidates=[("a\n\udcff", 0.5), ("</script>", 0.25)])


@pytest.fixture
def growing() -> Trace:
    """A trace with a site of each kind, two of which see one key more each step."""
    trace = Trace(source=list("abcde"), title="growing")
    trace.set_tokens("context", ["<s>", "Once", "upon"])
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    trace.add_site(Site("qk", "decoder", 1, 4, "target", "context"), store="qk")
    trace.add_site(Site("reduced", "decoder", 2, 2, "target", "context"), store="reduced")
    return trace


def test_each_step_that_was_written_comes_back(growing: Trace, path: Path) -> None:
    for step in range(40):
        step_of(growing, step, missing=step in (7, 8))
        growing.save(path)
        assert facts(load(path)) == facts(growing)
    growing.finish()
    assert (facts(load(path)), load(path).status) == (facts(growing), "complete")


def test_a_followed_trace_is_written_without_being_told(growing: Trace, path: Path) -> None:
    growing.save(path)
    step_of(growing, 0)
    deadline = time.monotonic() + 20
    while not load(path).steps and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [step.token for step in load(path).steps] == ["t0"]
    growing.finish()


def test_an_end_is_written_at_once(growing: Trace, path: Path) -> None:
    growing.save(path)
    for step in range(5):
        step_of(growing, step)
    growing.finish()
    assert facts(load(path, verify=True)) == facts(growing)


def test_a_folder_can_be_read_while_it_is_written(growing: Trace, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "PACE_SECONDS", 0.0)
    monkeypatch.setattr(follower, "_SHARE", 0)
    monkeypatch.setattr(follower, "_IDLE", 0)
    growing.save(path)

    def record() -> None:
        for step in range(150):
            step_of(growing, step, missing=step % 40 == 7)
            time.sleep(0.005)
        growing.finish()

    thread = threading.Thread(target=record)
    thread.start()
    counts = [0]
    while thread.is_alive():
        again = load(path, verify=True)
        counts.append(len(again.steps))
        assert [step.token for step in again.steps] == [f"t{step}" for step in range(counts[-1])]
        assert {site.n_queries for site in again.sites} == {counts[-1]}
    thread.join()
    assert counts == sorted(counts)
    assert facts(load(path)) == facts(growing)


def test_a_folder_can_be_appended_to_again(growing: Trace, path: Path, tmp_path: Path) -> None:
    growing.save(path)
    again = load(path)
    assert again.status == "empty"
    step_of(again, 0)
    again.save(tmp_path / "other.attn")
    again.finish()
    assert facts(load(tmp_path / "other.attn")) == facts(again)


@pytest.mark.parametrize("seed", range(8))
def test_any_factors_come_back_equal(seed: int, path: Path) -> None:
    rng = np.random.default_rng(seed)
    n_queries, n_keys = (int(n) for n in rng.integers(6, 40, 2))
    factors = random_factors(rng, n_queries, n_keys)
    trace = Trace()
    trace.add_site(Site("cross", "cross", 0, factors.shape[0], "target", "source"), store="qk")
    for first in range(0, n_queries, 5):
        trace.append({"cross": cut(factors, slice(first, min(first + 5, n_queries)), slice(0, n_keys))})
        trace.save(path)
        assert facts(load(path)) == facts(trace)


def test_keys_that_are_written_over_come_back(path: Path) -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 1, "target", "context"), store="qk")
    for step in range(4):
        queries, keys = (RNG.normal(size=(1, n, 4)).astype(np.float32) for n in (1, step + 1))
        trace.append({"own": Factors(queries, keys, Visible.causal(1, step + 1), 1.0)}, token="x")
        trace.save(path)
        assert facts(load(path)) == facts(trace)


def test_another_trace_takes_the_place_of_the_one_before(growing: Trace, path: Path) -> None:
    growing.save(path)
    step_of(growing, 0)
    growing.finish()
    before = set(path.iterdir())
    other = Trace(title="other")
    other.save(path)
    other.set_tokens("source", ["x"])
    other.finish("stopped")
    assert (load(path).title, load(path).tokens["source"].texts) == ("other", ("x",))
    assert len(before & set(path.iterdir())) <= len(before) // 2 + 1


def test_a_finished_trace_is_saved_into_its_folder(growing: Trace, path: Path) -> None:
    growing.save(path)
    step_of(growing, 0)
    growing.finish()
    growing.save(path)
    assert (path.is_dir(), facts(load(path))) == (True, facts(growing))


def test_a_folder_that_was_removed_is_made_again(growing: Trace, path: Path) -> None:
    growing.save(path)
    step_of(growing, 0)
    growing.save(path)
    shutil.rmtree(path)
    step_of(growing, 1)
    growing.finish()
    assert facts(load(path, verify=True)) == facts(growing)


def test_two_traces_at_one_place_do_not_mix(growing: Trace, path: Path) -> None:
    growing.save(path)
    step_of(growing, 0)
    other = Trace(source=["x"], title="other")
    other.save(path)
    step_of(growing, 1)
    growing.finish()
    assert facts(load(path, verify=True)) == facts(growing)


def test_saving_again_writes_nothing_anew(growing: Trace, path: Path) -> None:
    growing.save(path)
    step_of(growing, 0)
    growing.finish()
    before = {file.name for file in path.iterdir()}
    growing.save(path)
    assert {file.name for file in path.iterdir()} == before


def test_saving_again_while_recording_follows_once(growing: Trace, path: Path) -> None:
    growing.save(path)
    step_of(growing, 0)
    growing.save(path)
    before, n_observers = {file.name for file in path.iterdir()}, len(growing._observers)
    growing.save(path)
    assert ({file.name for file in path.iterdir()}, len(growing._observers)) == (before, n_observers)
    growing.finish()


def test_a_file_is_not_replaced_by_a_folder(growing: Trace, path: Path) -> None:
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match="still recorded is written to a folder"):
        growing.save(path)
    assert path.read_bytes() == b"old"


def test_a_folder_of_others_is_left_alone(growing: Trace, path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds something else"):
        growing.save(path)
    assert [file.name for file in path.iterdir()] == ["notes.txt"]


def test_a_folder_that_is_not_there_is_named(growing: Trace, path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make it first"):
        growing.save(path / "no" / "such")


# -- the doors of a recording


def test_record_follows_its_trace(path: Path) -> None:
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    words = torch.rand(1, 4, 8)
    with aw.record(attention, source=list("abcd"), save=path) as trace:
        attention(words, words, words)
    assert (facts(load(path)), load(path).status) == (facts(trace), "complete")


def test_a_recording_that_fails_leaves_its_steps(path: Path) -> None:
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    words = torch.rand(1, 4, 8)

    def fail() -> None:
        with aw.record(attention, source=list("abcd"), save=path):
            for step in range(3):
                attention(words[:, :1], words, words)
                aw.step(str(step))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    again = load(path)
    assert (again.status, [step.token for step in again.steps]) == ("stopped", ["0", "1", "2"])


# -- a disk that is full, a program that is killed

RUN = """
    import sys, time
    import numpy as np
    from attnwidget import Site, Trace
    trace = Trace(source=list("abcde"))
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.save(sys.argv[1])
"""


def started(code: str, path: Path) -> subprocess.Popen[str]:
    text = textwrap.dedent(RUN) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", text, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_program_leaves_its_steps(path: Path) -> None:
    code = """
        for step in range(100_000):
            trace.append({"cross": np.full((3, 1, 5), 0.2)}, token=str(step))
            if step % 50 == 0:
                print(step, flush=True)
            time.sleep(0.001)
    """
    with started(code, path) as program:
        assert program.stdout is not None
        reached = 0
        for line in program.stdout:
            reached = int(line)
            if reached >= 1000:
                break
        program.send_signal(signal.SIGKILL)
    again = load(path, verify=True)
    assert 0 < len(again.steps) <= reached + 200
    assert [step.token for step in again.steps] == [str(step) for step in range(len(again.steps))]
    assert again.weights("cross").shape == (3, len(again.steps), 5)


def test_a_program_that_ends_has_written_all(path: Path) -> None:
    code = """
        for step in range(300):
            trace.append({"cross": np.full((3, 1, 5), 0.2)}, token=str(step))
    """
    with started(code, path) as program:
        assert program.wait(60) == 0
    assert len(load(path).steps) == 300


FULL = """
    import resource, warnings
    for step in range(200):
        trace.append({"cross": np.full((3, 1, 5), 0.2)}, token=str(step))
    trace.save(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, resource.RLIM_INFINITY))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for step in range(200, 2000):
            trace.append({"cross": np.full((3, 1, 5), 0.2)}, token=str(step))
            if not told:
                time.sleep(0.005)  # the pace of the model, which hears of it with its next step
        assert len(told) == 1 and "not being written" in str(told[0].message), told
    if len(sys.argv) > 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        trace.finish()
    except OSError as error:
        print(type(error).__name__, trace.status, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes")
def test_a_full_disk_is_told_and_leaves_what_was_written(path: Path) -> None:
    with started(FULL, path) as program:
        out, errors = program.communicate(timeout=60)
    assert (errors, out.split()[:2]) == ("", ["WriteError", "complete"])
    assert "File too large" in out
    assert 200 <= len(load(path, verify=True).steps) < 400


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes")
def test_a_disk_that_has_room_again_is_written_to(path: Path) -> None:
    code = FULL.replace("len(sys.argv) > 2", "True")
    with started(code, path) as program:
        assert program.communicate(timeout=60) == ("", "")
    again = load(path, verify=True)
    assert (len(again.steps), again.status) == (2000, "complete")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes")
def test_a_full_disk_leaves_the_file_that_was_there(complete: Trace, path: Path) -> None:
    complete.save(path)
    code = """
        import resource
        from attnwidget import TraceError, load
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, resource.RLIM_INFINITY))
        try:
            Trace.from_weights(np.full((9, 100, 5), 0.2), source=list("abcde"), target=["x"] * 100).save(sys.argv[2])
        except TraceError as error:
            print(isinstance(error, OSError), error)
    """
    text = textwrap.dedent(RUN) + textwrap.dedent(code)
    command = [sys.executable, "-c", text, str(path.with_name("else")), str(path)]
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert out.startswith("True")
    assert "not written" in out
    assert "File too large" in out
    assert facts(load(path)) == facts(complete)
    assert sorted(file.name for file in path.parent.iterdir()) == ["else", "run.attn"]


def test_an_error_of_the_disk_does_not_hide_that_of_the_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    words = torch.rand(1, 4, 8)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    def fail() -> None:
        with aw.record(attention, save=path):
            monkeypatch.setattr(os, "fsync", full)
            attention(words[:, :1], words, words)
            aw.step("x")
            raise ZeroDivisionError

    with pytest.warns(UserWarning, match="No space left"), pytest.raises(ZeroDivisionError):
        fail()


def test_the_end_of_a_recording_raises_what_the_disk_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    words = torch.rand(1, 4, 8)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    trace = Trace()

    def run() -> None:
        with aw.record(attention, source=list("abcd"), into=trace, save=path):
            attention(words, words, words)
            monkeypatch.setattr(os, "fsync", full)

    with pytest.warns(UserWarning, match="No space left"), pytest.raises(WriteError, match="No space left"):
        run()
    assert trace.status == "complete"


# -- nothing else is taken for a trace


def manifest(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    outer = json.loads((path / MANIFEST).read_text())
    return outer, json.loads(outer["attnwidget"])


def lie_of(path: Path, lie: Callable[[dict[str, Any]], object]) -> None:
    _, header = manifest(path)
    lie(header)
    text = json.dumps(header)
    (path / MANIFEST).write_text(json.dumps({"attnwidget": text, "attnwidget.crc": str(zlib.crc32(text.encode()))}))


@pytest.fixture
def written(growing: Trace, path: Path) -> Path:
    for step in range(6):
        step_of(growing, step, missing=step == 2)
    growing.save(path)
    growing.finish()
    return path


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"{", b"[" * 100_000, b"\xff" * 64])
def test_another_manifest_is_no_trace(written: Path, data: bytes) -> None:
    (written / MANIFEST).write_bytes(data)
    with pytest.raises(TraceError):
        load(written)


def test_a_folder_without_a_manifest_is_no_trace(written: Path) -> None:
    (written / MANIFEST).unlink()
    with pytest.raises(TraceError, match=MANIFEST):
        load(written)


def test_a_file_that_is_not_there_is_no_trace(written: Path) -> None:
    next(written.glob("queries*.bin")).unlink()
    with pytest.raises(TraceError, match="not there"):
        load(written)


def test_files_cut_anywhere_are_no_trace(written: Path) -> None:
    for file in sorted(written.iterdir()):
        data = file.read_bytes()
        for end in {0, len(data) // 2, len(data) - 1} - {len(data)}:
            if file.name.endswith(".bin") and end >= n_counted(written, file.name):
                continue
            file.write_bytes(data[:end])
            with pytest.raises(TraceError):
                load(written)
        file.write_bytes(data)
    load(written)


def n_counted(path: Path, name: str) -> int:
    """Return how many bytes of a file the manifest counts, 0 if it is one of the manifest before."""
    _, header = manifest(path)
    for said in (*header["arrays"].values(), *header["texts"].values()):
        if said["file"] == name:
            return int(np.prod(said["shape"])) * np.dtype(said["dtype"]).itemsize
    return 0


def test_a_flipped_bit_is_an_error_or_changes_nothing(growing: Trace, written: Path) -> None:
    random = np.random.default_rng(5)
    files = sorted(written.iterdir())
    for _ in range(300):
        file = files[random.integers(len(files))]
        data = file.read_bytes()
        if not data:
            continue
        changed = bytearray(data)
        changed[random.integers(len(data))] ^= 1 << int(random.integers(8))
        file.write_bytes(changed)
        with contextlib.suppress(TraceError):
            assert facts(load(written)) == facts(growing)
        file.write_bytes(data)


def change(part: str, name: str, **values: object) -> Callable[[dict[str, Any]], object]:
    return lambda header: header[part][name].update(values)


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "arrays null": lambda header: header.update(arrays=None),
    "texts list": lambda header: header.update(texts=[]),
    "no steps": lambda header: header["texts"].pop("steps"),
    "a strip more": lambda header: header["texts"].update({"strip.a b": header["texts"]["steps"]}),
    "steps as tokens": lambda header: header["texts"].update({"strip.source": header["texts"]["steps"]}),
    "outside": change("arrays", "queries.2", file="../run.attn/manifest.json"),
    "absolute": change("arrays", "queries.2", file="/etc/passwd"),
    "no name": change("arrays", "queries.2", file=7),
    "manifest": change("arrays", "queries.2", file=MANIFEST),
    "another file": lambda header: header["arrays"]["queries.2"].update(file=header["arrays"]["keys.2"]["file"]),
    "huge": change("arrays", "queries.2", shape=[2**62, 4, 8]),
    "beyond": change("arrays", "queries.2", shape=[10**30, 4, 8]),
    "negative": change("arrays", "queries.2", shape=[-1, 4, 8]),
    "half": change("arrays", "queries.2", shape=[1.5, 4, 8]),
    "more rows": change("arrays", "queries.2", shape=[7, 4, 8]),
    "no axes": change("arrays", "queries.2", shape=[]),
    "many axes": change("arrays", "queries.2", shape=[1] * 70),
    "axis": change("arrays", "queries.2", axis=3),
    "axis text": change("arrays", "queries.2", axis="1"),
    "width": change("arrays", "weights.1", width=10**6),
    "width less": change("arrays", "queries.2", width=3),
    "dtype": change("arrays", "queries.2", dtype="|O"),
    "other dtype": change("arrays", "queries.2", dtype="<f4"),
    "dtype list": change("arrays", "queries.2", dtype=[]),
    "without shape": lambda header: header["arrays"]["queries.2"].pop("shape"),
    "an array less": lambda header: header["arrays"].pop("queries.2"),
    "crc of tokens": change("texts", "steps", crc=0),
    "fewer steps": change("texts", "steps", shape=[3]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_manifest_that_lies_is_no_trace(written: Path, lie: Callable[[dict[str, Any]], object]) -> None:
    lie_of(written, lie)
    with pytest.raises(TraceError):
        load(written)


def test_a_manifest_that_tells_the_truth_is_a_trace(growing: Trace, written: Path) -> None:
    lie_of(written, lambda _: None)
    assert facts(load(written)) == facts(growing)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name")
def test_a_pipe_is_no_array(written: Path) -> None:
    file = next(written.glob("queries*.bin"))
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(TraceError, match="plain file"):
        load(written)
