"""A folder holds what is new of a trace, says where it is, and is believed as far as it can be."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnwidget import Site, Tokens, Trace, folder
from attnwidget.folder import MANIFEST, Folder, check_free, folder_parts
from attnwidget.header import CRC, HEADER

RNG = np.random.default_rng(5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.attn"


@pytest.fixture
def trace() -> Trace:
    """A trace with words, a picture, a site whose rows stay as they are, and one whose rows grow wider."""
    trace = Trace(source=["a", "\udcff"], title="a title")
    trace.set_tokens("picture", Tokens.image(RNG.random((4, 4)), (2, 2)))
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.add_site(Site("own", "decoder", 1, 2, "target", "target"))
    return trace


def step(trace: Trace, n_steps: int = 1) -> None:
    for _ in range(n_steps):
        n = len(trace.steps)
        rows = {"cross": RNG.random((3, 1, 2), np.float32), "own": RNG.random((2, 1, n + 1), np.float32)}
        trace.append(rows, token=f"t{n}\n", candidates=[("</script>", 0.5)])


def said(path: Path) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(json.loads((path / MANIFEST).read_bytes())[HEADER])
    return header


def lie(path: Path, part: str, name: str, **values: object) -> None:
    header = said(path)
    header[part][name] |= values
    seal(path, header)


def seal(path: Path, header: object) -> None:
    text = json.dumps(header)
    (path / MANIFEST).write_text(json.dumps({HEADER: text, CRC: str(zlib.crc32(text.encode()))}))


def names(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


# -- where a trace may be written


def test_a_place_is_free_where_nothing_is_or_a_trace(path: Path, trace: Trace) -> None:
    check_free(path)
    path.mkdir()
    check_free(path)
    Folder(path).write(trace)
    check_free(path)


@pytest.mark.parametrize("text", ['{"attnwidget": ', '{"attnwidget": "x"}'])
def test_a_manifest_that_begins_as_one_is_one(path: Path, text: str) -> None:
    path.mkdir()
    (path / MANIFEST).write_text(text)
    check_free(path)


@pytest.mark.parametrize("text", ["", '{"attnwidget":', '{"name": "app"}', '{"attnwidget.crc": "1"}'])
def test_a_folder_of_something_else_is_not_free(path: Path, text: str) -> None:
    path.mkdir()
    (path / MANIFEST).write_text(text)
    with pytest.raises(FileExistsError, match=r"run\.attn is a folder that holds something else; take another name"):
        check_free(path)


def test_a_manifest_is_a_file_and_no_link(path: Path) -> None:
    (path / MANIFEST).mkdir(parents=True)
    with pytest.raises(FileExistsError, match="something else"):
        check_free(path)
    (path / MANIFEST).rmdir()
    (path.parent / "other").write_text('{"attnwidget": ')
    (path / MANIFEST).symlink_to(path.parent / "other")
    with pytest.raises(FileExistsError, match="something else"):
        check_free(path)


def test_a_file_and_a_missing_folder_are_not_free(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make it first"):
        check_free(path / "run.attn")
    path.write_bytes(b"")
    with pytest.raises(FileExistsError) as caught:
        check_free(path)
    assert str(caught.value) == (
        f"{path} is a file, and a trace that is still recorded is written to a folder. Take another name, remove the "
        "file, or save the trace when it is finished."
    )


# -- what is written


def test_a_folder_says_what_it_holds(path: Path, trace: Trace) -> None:
    step(trace, 3)
    Folder(path).write(trace)
    header, arrays = folder_parts(path, verify=True)
    assert header["strips"] == {name: list(tokens) for name, tokens in trace.tokens.items()}
    assert header["steps"] == [{"token": f"t{i}\n", "candidates": [["</script>", 0.5]]} for i in range(3)]
    assert (header["title"], header["status"], len(header["sites"])) == ("a title", "recording", 2)
    assert np.array_equal(arrays.tensor("weights.0"), trace.weights("cross"))
    assert np.array_equal(arrays.tensor("weights.1"), trace.weights("own"))
    assert np.array_equal(arrays.tensor("scene.picture"), trace.tokens["picture"].scene.pixels)  # type: ignore[union-attr]
    for i, site in enumerate(header["sites"]):
        arrays.check(f"weights.{i}", site["crc"]["weights"])
    arrays.check("scene.picture", header["scenes"]["picture"]["crc"])
    (manifest,) = (json.loads((path / MANIFEST).read_bytes()),)
    assert list(manifest) == [HEADER, CRC]
    texts = said(path)["texts"]
    assert set(texts) == {"strip.source", "strip.target", "strip.picture", "steps"}
    assert (path / texts["strip.source"]["file"]).read_bytes() == b'"a"\n"\\udcff"\n'


def test_only_what_is_new_is_added(path: Path, trace: Trace) -> None:
    one = Folder(path)
    one.write(trace)
    step(trace)
    one.write(trace)
    before = {it: (path / it).read_bytes() for it in names(path)}
    files = {name: it["file"] for part in ("arrays", "texts") for name, it in said(path)[part].items()}
    step(trace, 2)
    one.write(trace)
    now = {name: it["file"] for part in ("arrays", "texts") for name, it in said(path)[part].items()}
    same = {name for name, file in files.items() if now[name] == file}
    assert same == {"scene.picture", "weights.0", "strip.source", "strip.target", "strip.picture", "steps"}
    for name in same:
        assert (path / files[name]).read_bytes().startswith(before[files[name]])
    assert (path / now["weights.0"]).stat().st_size == 3 * len(before[files["weights.0"]])


def test_nothing_new_changes_nothing(path: Path, trace: Trace) -> None:
    step(trace, 2)
    one = Folder(path)
    one.write(trace)
    before = {it: (path / it).read_bytes() for it in names(path)}
    one.write(trace)
    assert {it: (path / it).read_bytes() for it in names(path)} == before


def test_all_is_on_the_disk_before_the_manifest(path: Path, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    step(trace, 2)
    forced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: forced.append(os.fstat(file).st_ino))
    Folder(path).write(trace)
    assert set(forced) == {file.stat().st_ino for file in path.iterdir()}
    assert forced.index((path / MANIFEST).stat().st_ino) == len(forced) - 1


def test_what_the_last_two_manifests_name_stays(path: Path, trace: Trace) -> None:
    path.mkdir()
    others = {"notes.txt", "weights.0.bin", f"x.{'0' * 15}.bin", f"x.{'g' * 16}.bin", f"x.{'0' * 16}.bin.txt"}
    left = {f"old.{'0' * 16}.bin", f"weights.0.{'a' * 16}.bin"}
    for name in others | left:
        (path / name).write_text("mine")
    one, named = Folder(path), []
    for _ in range(5):
        step(trace, 4)  # so that rows outgrow their room, and begin another file
        one.write(trace)
        header = said(path)
        named.append({it["file"] for part in ("arrays", "texts") for it in header[part].values()} - {""})
        assert names(path) == set().union(*named[-2:], others, {MANIFEST})
    assert len(set().union(*named)) > len(named[-1]) + 1


@pytest.mark.parametrize("what", ["folder", "manifest", "file"])
def test_what_somebody_removed_is_written_again(what: str, path: Path, trace: Trace) -> None:
    one = Folder(path)
    step(trace, 2)
    one.write(trace)
    for file in list(path.iterdir()):
        if what == "folder" or (file.name == MANIFEST) == (what == "manifest"):
            file.unlink()
    if what == "folder":
        path.rmdir()
    step(trace)
    one.write(trace)
    header, arrays = folder_parts(path, verify=True)
    assert len(header["steps"]) == 3
    assert np.array_equal(arrays.tensor("weights.0"), trace.weights("cross"))


def test_what_another_trace_wrote_is_not_added_to(path: Path, trace: Trace) -> None:
    one = Folder(path)
    step(trace, 2)
    one.write(trace)
    Folder(path).write(Trace(source=["z"], title="other"))
    assert folder_parts(path, verify=True)[0]["title"] == "other"
    one.write(trace)
    header, arrays = folder_parts(path, verify=True)
    assert (header["title"], len(header["steps"])) == ("a title", 2)
    assert np.array_equal(arrays.tensor("weights.1"), trace.weights("own"))


def test_rows_that_are_written_over_come_back(path: Path) -> None:
    trace, one = Trace(), Folder(path)
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"), store="reduced")
    for n in range(1, 6):
        trace.append({"own": RNG.random((2, 1, n), np.float32)}, token="x")
        one.write(trace)
        _, arrays = folder_parts(path, verify=True)
        state, _ = next(iter(trace.ledger.records.values())).store.state()
        assert all(np.array_equal(arrays.tensor(f"{name}.0"), array) for name, array in state.items())


# -- what is read


@pytest.fixture
def written(path: Path, trace: Trace) -> Path:
    step(trace, 3)
    Folder(path).write(trace)
    return path


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        folder_parts(path, verify=False)


ODD = "its arrays have another shape or type than it says"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"dtype": "<f16"}, ODD),
        ({"shape": []}, ODD),
        ({"shape": [3, 3, 2, 1, 1]}, ODD),
        ({"shape": [3, 3, -2]}, ODD),
        ({"shape": [3, 3, 2.0]}, ODD),
        ({"shape": [3, 3, True]}, ODD),
        ({"axis": 3}, ODD),
        ({"axis": -1}, ODD),
        ({"axis": 1.0}, ODD),
        ({"width": 3}, ODD),
        ({"width": -1}, ODD),
        ({"file": "a/b.bin"}, "one of its files has a name that is none"),
        ({"file": "a.bin.txt"}, "one of its files has a name that is none"),
        ({"file": f"{'a' * 100}.bin"}, "one of its files has a name that is none"),
        ({"file": ".bin"}, "one of its files has a name that is none"),
        ({"shape": [4, 3, 2]}, "it was cut short: 24 bytes of an array are not there"),
    ],
    ids=str,
)
def test_an_array_is_refused_in_words(written: Path, values: dict[str, object], sentence: str) -> None:
    lie(written, "arrays", "weights.0", **values)
    refused(written, sentence)


@pytest.mark.parametrize(
    "values", [{"width": None}, {"width": 2}, {"width": 1}, {"axis": 0}, {"axis": 2}, {"shape": [0, 3, 2], "file": ""}]
)
def test_what_may_be_said_of_an_array_is_read(written: Path, values: dict[str, Any]) -> None:
    lie(written, "arrays", "weights.0", **values)
    array = folder_parts(written, verify=False)[1].tensor("weights.0")
    width, axis, rows = values.get("width") or 2, values.get("axis", 1), values.get("shape", [3])[0]
    assert array.shape == np.moveaxis(np.empty((rows, 3, width)), 0, axis).shape


@pytest.mark.parametrize("n_axes", [1, 4])
def test_arrays_have_one_to_four_axes(written: Path, n_axes: int) -> None:
    lie(written, "arrays", "weights.0", shape=[18] if n_axes == 1 else [3, 3, 2, 1], axis=0, width=None)
    assert folder_parts(written, verify=False)[1].tensor("weights.0").ndim == n_axes


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<f2", "<i8", "<i4", "|u1"])
def test_these_types_are_read(written: Path, dtype: str) -> None:
    lie(written, "arrays", "weights.0", dtype=dtype, shape=[1, 3, 2])
    assert folder_parts(written, verify=False)[1].tensor("weights.0").dtype == np.dtype(dtype)


@pytest.mark.parametrize("name", ["steps", "strip.source"])
@pytest.mark.parametrize("change", [lambda data: data[:-1] + b" ", lambda data: data.replace(b'"', b"'", 1)])
def test_texts_that_were_changed_are_refused(written: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    file = written / said(written)["texts"][name]["file"]
    file.write_bytes(change(file.read_bytes()))
    refused(written, "its tokens are not the ones that were written")


def test_a_folder_without_a_manifest_is_said_to_be_one(path: Path) -> None:
    path.mkdir()
    refused(path, "it is a folder without a manifest.json, a trace was expected")
    (path / MANIFEST).write_bytes(b"{")
    refused(path, "it was cut short: 1 bytes of an array are not there")
    (path / MANIFEST).write_bytes(b"{}")
    refused(path, "it has no attnwidget header")


def test_what_is_too_large_is_not_read(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (written / MANIFEST).stat().st_size
    monkeypatch.setattr(folder, "MAX_HEADER_BYTES", size)
    folder_parts(written, verify=False)
    monkeypatch.setattr(folder, "MAX_HEADER_BYTES", size - 1)
    refused(written, f"its manifest.json has more than {size - 1} bytes")


def test_tokens_that_are_too_large_are_not_read(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = said(written)["texts"]["strip.source"]["file"]
    limit = 10_000
    assert (written / MANIFEST).stat().st_size < limit
    with (written / name).open("ab") as file:
        file.write(b" " * limit)
    n_others = (
        sum(it["shape"][0] for it in said(written)["texts"].values())
        - said(written)["texts"]["strip.source"]["shape"][0]
    )
    monkeypatch.setattr(folder, "MAX_HEADER_BYTES", limit)
    lie(written, "texts", "strip.source", shape=[limit - n_others])
    refused(written, "its tokens are not the ones that were written")
    lie(written, "texts", "strip.source", shape=[limit - n_others + 1])
    refused(written, f"its tokens and steps have more than {limit} bytes")


def test_a_field_that_stands_twice_is_refused(written: Path) -> None:
    text = (written / MANIFEST).read_text()
    (written / MANIFEST).write_text(text[:-1] + f', "{HEADER}": ""}}')
    refused(written, "a field of its header stands twice")
    data = b'{"token": "a", "token": "b", "candidates": []}\n'
    (written / "steps.bin").write_bytes(data)
    (written / MANIFEST).write_text(text)
    lie(written, "texts", "steps", file="steps.bin", shape=[len(data)], crc=zlib.crc32(data))
    refused(written, "a field of its header stands twice")
