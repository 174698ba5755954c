"""Files and folders of others: each is a trace or one sentence, soon, in little memory, and nothing else happens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import (
    FILES,
    FOLDERS,
    Choices,
    Parts,
    begun,
    changed,
    facts,
    finished,
    sealed_manifest,
)

from attnwidget import TraceError, load
from attnwidget.disk import MAX_TEXT_COST, WriteError, check_text
from attnwidget.folder import MANIFEST
from attnwidget.header import HEADER

KINDS = {**FILES, **FOLDERS}
SECONDS, MEGABYTES = 2.0, 200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.attn"


def outcome(path: Path, *, verify: bool = False) -> object:
    """Return what is in a trace, or None where it was refused with one sentence, soon."""
    started = time.process_time()
    try:
        return facts(load(path, verify=verify))
    except TraceError as error:
        told = str(error)
    finally:
        assert time.process_time() - started < SECONDS
    assert "\n" not in told
    return None


# -- cut short, and single bits


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_is_refused_or_the_same(kind: str, path: Path) -> None:
    KINDS[kind](path)
    good = outcome(path)
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        data = file.read_bytes()
        for place in {len(data) * part // 7 for part in range(7)}:
            file.write_bytes(data[:place])
            assert outcome(path) in (None, good)
        file.write_bytes(data)
    assert outcome(path) == good is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_refused_or_changes_nothing(kind: str, path: Path) -> None:
    KINDS[kind](path)
    good, rng = outcome(path), np.random.default_rng(40)
    files = [path] if path.is_file() else [file for file in sorted(path.iterdir()) if file.stat().st_size]
    for _ in range(40):
        file = files[rng.integers(len(files))]
        data = bytearray(file.read_bytes())
        place, bit = int(rng.integers(len(data))), 1 << int(rng.integers(8))
        data[place] ^= bit
        file.write_bytes(data)
        assert outcome(path) in (None, good)
        data[place] ^= bit
        file.write_bytes(data)
    assert outcome(path) == good is not None


@pytest.mark.parametrize("folder", [False, True])
def test_each_bit_of_the_weights_is_held_against_its_checksum(
    folder: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.mapped.READ_BYTES", 0)
    (FOLDERS["growing"] if folder else FILES["file"])(path)
    file = next(path.glob("weights.0.*")) if folder else path
    start = 0 if folder else 8 + int.from_bytes(path.read_bytes()[:8], "little")
    data, rng = file.read_bytes(), np.random.default_rng(4)
    for place in rng.choice(np.arange(start, len(data)), 60, replace=False):
        wrong = bytearray(data)
        wrong[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(wrong)
        with pytest.raises(TraceError):
            load(path, verify=True)


# -- headers that lie


@pytest.mark.parametrize("seed", range(60))
def test_a_file_that_lies_is_refused_or_can_be_used(seed: int, path: Path) -> None:
    choices = Choices(np.random.default_rng(seed).bytes(64))
    write = choices.of(list(FILES.values()))
    write(path)
    parts = Parts.of(path)
    said = changed(parts.said, choices) if seed % 4 == 0 else parts.said
    path.write_bytes(Parts(changed(parts.header, choices), said, parts.data).together())
    outcome(path, verify=bool(seed % 2))


@pytest.mark.parametrize("seed", range(40))
def test_a_folder_that_lies_is_refused_or_can_be_used(seed: int, path: Path) -> None:
    choices = Choices(np.random.default_rng(seed).bytes(64))
    choices.of(list(FOLDERS.values()))(path)
    header = json.loads(json.loads((path / MANIFEST).read_bytes())[HEADER])
    (path / MANIFEST).write_bytes(sealed_manifest(changed(header, choices)))
    before = {file.name for file in path.iterdir()}
    outcome(path, verify=bool(seed % 2))
    assert {file.name for file in path.iterdir()} == before


@pytest.mark.parametrize(
    "name", ["../outside.bin", "/etc/passwd", "a/b.bin", "..", "manifest.json", "\x00.bin", "é.bin"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, path: Path, tmp_path: Path) -> None:
    FOLDERS["whole"](path)
    (tmp_path / "outside.bin").write_bytes(b"\0" * 4096)
    header = json.loads(json.loads((path / MANIFEST).read_bytes())[HEADER])
    for part in ("arrays", "texts"):
        lied = {**header, part: {it: {**said, "file": name} for it, said in header[part].items()}}
        (path / MANIFEST).write_bytes(sealed_manifest(lied))
        with pytest.raises(TraceError, match="name that is none"):
            load(path)


# -- what is no file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name")
@pytest.mark.parametrize("what", ["pipe", "/dev/zero", "/dev/null", "loop"])
@pytest.mark.parametrize("where", ["file", MANIFEST, "array"])
def test_what_is_no_file_is_refused_at_once(what: str, where: str, path: Path) -> None:
    if where != "file":
        FOLDERS["whole"](path)
    place = {"file": path, MANIFEST: path / MANIFEST}.get(where) or next(path.glob("weights.0.*"))
    place.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(place.name if what == "loop" else what)
    with pytest.raises(TraceError):
        load(path)


def test_a_linked_file_is_read(path: Path, tmp_path: Path) -> None:
    FOLDERS["whole"](path)
    good = outcome(path)
    for file in list(path.glob("*.bin")):
        shutil.move(file, tmp_path / file.name)
        file.symlink_to(tmp_path / file.name)
    assert outcome(path) == good is not None


# -- what is written


def test_a_linked_manifest_is_not_written_over(path: Path, tmp_path: Path) -> None:
    FOLDERS["whole"](path)
    mine = tmp_path / "mine"
    shutil.move(path / MANIFEST, mine)
    (path / MANIFEST).symlink_to(mine)
    before = mine.read_bytes()
    for trace in (begun(), finished()):
        with pytest.raises(FileExistsError, match="holds something else"):
            trace.save(path)
    assert mine.read_bytes() == before


@pytest.mark.parametrize("manifest", [b"{}", b'{"name": "my app"}', b""])
def test_a_manifest_of_something_else_is_left_alone(manifest: bytes, path: Path) -> None:
    path.mkdir()
    (path / MANIFEST).write_bytes(manifest)
    (path / "pytorch_model.bin").write_bytes(b"mine")
    for trace in (begun(), finished()):
        with pytest.raises(FileExistsError, match="holds something else"):
            trace.save(path)
    assert (path / MANIFEST).read_bytes() == manifest
    assert {file.name for file in path.iterdir()} == {MANIFEST, "pytorch_model.bin"}


def test_files_of_others_in_the_folder_of_a_trace_stay(path: Path) -> None:
    FOLDERS["whole"](path)
    (path / "pytorch_model.bin").write_bytes(b"mine")
    (path / f"old.{'0' * 16}.bin").write_bytes(b"of a trace before")
    for _ in range(3):
        finished().save(path)
    names = {file.name for file in path.iterdir()}
    assert ("pytorch_model.bin" in names, f"old.{'0' * 16}.bin" in names) == (True, False)


# -- bombs

_MEASURE = """
import sys
import attnwidget as aw, attnwidget.file, attnwidget.folder, safetensors.numpy

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) >> 10

before = peak()
for path in sys.argv[1:]:
    try:
        aw.load(path, verify=True)
        print("a trace")
    except aw.TraceError:
        print("refused")
print(peak() - before)
"""


def _of(header: dict[str, Any] | str, said: dict[str, Any], data: bytes = b"", **more: str) -> bytes:
    text = header if isinstance(header, str) else json.dumps(header)
    metadata = {HEADER: text, f"{HEADER}.crc": str(zlib.crc32(text.encode())), **more}
    start = json.dumps({"__metadata__": metadata, **said}).encode()
    return len(start).to_bytes(8, "little") + start + data


def _bombs(parts: Parts) -> dict[str, Callable[[], bytes]]:
    """Return files that promise more than they hold, or whose text would fill the memory."""
    header, said, text = parts.header, parts.said, json.dumps(parts.header)[:-1]
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    huge = {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}
    return {
        "header of terabytes": lambda: (10**13).to_bytes(8, "little") + b"{}",
        "array of terabytes": lambda: _of(header, {**said, "weights.0": huge}, parts.data),
        "empty and large": lambda: _of(
            header, {**said, "weights.0": {**empty, "shape": [0, 2**62, 2**62]}}, parts.data
        ),
        "200,000 arrays": lambda: _of(header, {f"weights.{i}": empty for i in range(200_000)}),
        "lists": lambda: _of(f'{text}, "x": [{"[]," * 3_000_000}0]}}', said, parts.data),
        "numbers": lambda: _of(f'{text}, "x": [{"300," * 8_000_000}0]}}', said, parts.data),
        "names": lambda: _of(header, said, parts.data, **{str(i): "" for i in range(1_000_000)}),
        "more to say": lambda: _of(header, said, parts.data, x="a" * 90_000_000),
        "steps": lambda: _of({**header, "steps": [{"token": "x", "candidates": []}] * 800_000}, said, parts.data),
    }


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_bombs_take_little_memory(tmp_path: Path) -> None:
    finished().save(tmp_path / "good.attn")
    bombs = _bombs(Parts.of(tmp_path / "good.attn"))
    for name, made in bombs.items():
        (tmp_path / name).write_bytes(made())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / MANIFEST).write_bytes(b"[" + b"[]," * 3_000_000 + b"0]")
    with (tmp_path / "sparse").open("wb") as file:
        file.write((50_000_000).to_bytes(8, "little"))
        file.truncate(10**12)
    started = os.times()
    paths = [str(tmp_path / name) for name in (*bombs, "folder", "sparse")]
    command = [sys.executable, "-c", _MEASURE, *paths]
    *said, peak = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split("\n")[
        :-1
    ]
    spent = os.times().children_user - started.children_user
    assert said == ["refused"] * len(paths)
    assert int(peak) < MEGABYTES
    assert spent < SECONDS * len(paths) / 2


def test_a_hundred_thousand_steps_are_no_bomb() -> None:
    step = {"token": " token", "candidates": [[" token", 0.0123456789012345]] * 5}
    text = json.dumps({"strips": {"target": [" token"] * 100_000}, "steps": [step] * 100_000})
    check_text(json.dumps({HEADER: text}).encode())


def test_what_could_not_be_read_again_is_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_TEXT_COST > 10_000
    monkeypatch.setattr("attnwidget.disk.MAX_TEXT_COST", 10_000)
    with pytest.raises(WriteError, match="tokens and steps"):
        finished().save(path)
    assert not path.exists()


# -- what a fuzzer kept


def test_what_a_fuzzer_kept_breaks_no_promise() -> None:
    script = Path(__file__).parents[1] / "fuzz" / "one.py"
    subprocess.run([sys.executable, str(script)], check=True, timeout=120)
