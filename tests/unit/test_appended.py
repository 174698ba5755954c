"""A file to which rows are added holds what is counted of it, and nothing is written twice."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from attnwidget import appended
from attnwidget.appended import Appended
from attnwidget.mapped import MappedArrays, Place
from attnwidget.stores.stack import Stack

RNG = np.random.default_rng(6)


def file_of(one: Appended, folder: Path) -> Path:
    return folder / one.said()["file"]


def read(one: Appended, folder: Path) -> np.ndarray:
    """Return the array as a reader of the manifest finds it, held against its checksum."""
    said = one.said()
    place = Place(folder / said["file"], 0, said["dtype"], tuple(said["shape"]), said["width"], said["axis"])
    arrays = MappedArrays({"it": place}, verify=True)
    array = arrays.tensor("it")
    arrays.check("it", one.crc)
    return array


def rows(*shape: int, dtype: str = "<f4") -> np.ndarray:
    return RNG.random(shape).astype(dtype)


def test_an_array_comes_back(tmp_path: Path) -> None:
    array = rows(3, 2, 5)
    (one := Appended(tmp_path, "weights.0")).write(array, 0, 0)
    assert one.said() == {
        "file": file_of(one, tmp_path).name,
        "dtype": "<f4",
        "shape": [3, 2, 5],
        "width": 5,
        "axis": 0,
    }
    assert re.fullmatch(r"weights\.0\.[0-9a-f]{16}\.bin", one.said()["file"])
    assert file_of(one, tmp_path).read_bytes() == array.tobytes()
    assert one.crc == zlib.crc32(array.tobytes())
    assert np.array_equal(read(one, tmp_path), array)


def test_what_was_never_written_has_no_file(tmp_path: Path) -> None:
    one = Appended(tmp_path, "x")
    assert one.said() == {"file": "", "dtype": "|u1", "shape": [0], "width": None, "axis": 0}
    one.write(rows(0, 2, 5), 0, 0)
    one.append(b"")
    one.sync()
    assert (one.said()["file"], one.said()["shape"], one.crc, os.listdir(tmp_path)) == ("", [0, 2, 5], 0, [])


def test_a_name_is_one_of_a_file(tmp_path: Path) -> None:
    (one := Appended(tmp_path, "strip.a/b\\\n é" + "x" * 60)).append(b"1")
    assert re.fullmatch(r"strip\.a_b____x{27}\.[0-9a-f]{16}\.bin", one.said()["file"])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_that_are_new_are_added_to_the_file(axis: int, tmp_path: Path) -> None:
    array, one = np.moveaxis(rows(7, 2, 5), 0, axis), Appended(tmp_path, "x")
    one.write(array.take(range(3), axis), axis, 4)
    file = file_of(one, tmp_path)
    start = file.read_bytes()
    for count in (3, 4, 7):
        one.write(array.take(range(count), axis), axis, 4)
        assert np.array_equal(read(one, tmp_path), array.take(range(count), axis))
        assert file.read_bytes() == np.moveaxis(array, axis, 0)[:count].tobytes()
    assert file.read_bytes().startswith(start)
    assert (os.listdir(tmp_path), one.said()["axis"]) == ([file.name], axis)


def test_rows_of_a_stack_come_by_query(tmp_path: Path) -> None:
    array, one, stack = rows(2, 5, 3), Appended(tmp_path, "x"), Stack(2)
    for query in range(5):
        stack.put(query, array[:, query : query + 1])
        one.write(stack, 1, 0)
    assert np.array_equal(read(one, tmp_path), array)
    assert len(os.listdir(tmp_path)) == 1


def test_rows_that_grow_wider_are_whole_at_any_width(tmp_path: Path) -> None:
    one, array = Appended(tmp_path, "x"), np.tril(rows(40, 40))[:, None]  # each sees one key more
    for n in range(1, 41):
        one.write(array[:n, :, :n], 0, 0)
        assert np.array_equal(read(one, tmp_path), array[:n, :, :n])
        assert one.said()["width"] == n
    assert len(os.listdir(tmp_path)) < 12


def test_room_is_half_as_much_again(tmp_path: Path) -> None:
    array, one = rows(9, 2, 40), Appended(tmp_path, "x")
    seen: dict[str, int] = {}
    for width in range(10, 41):
        one.write(array[:, :, :width], 0, 0)
        seen[one.said()["file"]] = one.said()["shape"][-1]
    assert list(seen.values()) == [10, 15, 22, 33, 49]


def test_what_is_free_is_zero(tmp_path: Path) -> None:
    one = Appended(tmp_path, "x")
    for width in (4, 5):
        one.write(np.ones((3, 1, width), np.float32), 0, 0)
    assert file_of(one, tmp_path).read_bytes() == np.array([[1, 1, 1, 1, 1, 0]] * 3, "<f4").tobytes()


@pytest.mark.parametrize(
    ("array", "edition"),
    [
        (rows(5, 2, 5), 1),
        (rows(5, 2, 5, dtype="<f8"), 0),
        (rows(2, 2, 5), 0),
        (rows(5, 3, 5), 0),
        (rows(5, 2), 0),
        (rows(5, 1, 2, 5), 0),
    ],
    ids=["written over", "other type", "fewer rows", "taller rows", "fewer axes", "more axes"],
)
def test_other_rows_begin_another_file(array: np.ndarray, edition: int, tmp_path: Path) -> None:
    (one := Appended(tmp_path, "x")).write(rows(3, 2, 5), 0, 0)
    before, data = file_of(one, tmp_path), file_of(one, tmp_path).read_bytes()
    one.write(array, 0, edition)
    assert np.array_equal(read(one, tmp_path), array)
    assert (one.said()["dtype"], one.said()["shape"]) == (array.dtype.str, list(array.shape))
    assert file_of(one, tmp_path) != before
    assert before.read_bytes() == data  # which a manifest still counts
    one.write(array, 0, edition)
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("array", [rows(4), rows(2, 3), rows(2, 3, 4), rows(2, 2, 2, 2), rows(2, 0)])
def test_what_does_not_grow_is_written_where_it_changed(array: np.ndarray, tmp_path: Path) -> None:
    one = Appended(tmp_path, "x")
    for _ in range(2):
        one.write(array, None, 0)
        assert np.array_equal(read(one, tmp_path), array)
    assert len(os.listdir(tmp_path)) == 1
    one.write(array + 1, None, 0)
    assert np.array_equal(read(one, tmp_path), array + 1)
    one.write(np.concatenate([array + 1, array]), None, 0)
    assert np.array_equal(read(one, tmp_path), np.concatenate([array + 1, array]))
    assert len(os.listdir(tmp_path)) == (3 if array.size else 2)


def test_the_same_bytes_of_another_type_are_another_array(tmp_path: Path) -> None:
    one = Appended(tmp_path, "x")
    for dtype in ("<f4", "<i4"):
        one.write(np.zeros(4, dtype), None, 0)
        assert read(one, tmp_path).dtype == np.dtype(dtype)


def test_numbers_of_other_machines_are_turned(tmp_path: Path) -> None:
    array = rows(3, 4)
    for axis in (0, None):
        (one := Appended(tmp_path, "x")).write(array.astype(">f4"), axis, 0)
        one.write(array.astype(">f4"), axis, 0)
        assert (one.said()["dtype"], file_of(one, tmp_path).read_bytes()) == ("<f4", array.tobytes())
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("n_bytes", [1, 40, 41, 79, 120, 10**6])
def test_many_rows_are_copied_part_by_part(n_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appended, "_CHUNK_BYTES", n_bytes)
    copied, zeros = [], np.zeros
    monkeypatch.setattr(np, "zeros", lambda *it: (copied.append(it[0][0]), zeros(*it))[1])
    array = rows(11, 2, 5)  # of 40 bytes each
    (one := Appended(tmp_path, "x")).write(array[:2], 0, 0)
    copied.clear()
    one.write(array, 0, 0)
    assert np.array_equal(read(one, tmp_path), array)
    assert (sum(copied), max(copied)) == (9, min(9, max(1, n_bytes // 40)))


def test_texts_follow_each_other(tmp_path: Path) -> None:
    one = Appended(tmp_path, "steps")
    for text in (b"a\n", b"", b"bc\n"):
        one.append(text)
    assert (file_of(one, tmp_path).read_bytes(), one.crc) == (b"a\nbc\n", zlib.crc32(b"a\nbc\n"))
    assert one.said() | {"file": ""} == {"file": "", "dtype": "|u1", "shape": [5], "width": None, "axis": 0}


def test_what_failed_before_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (one := Appended(tmp_path, "x")).write(array := rows(1, 4), 0, 0)
    with file_of(one, tmp_path).open("ab") as file:
        file.write(b"half of a row")
    more = np.concatenate([array, rows(5, 4)])
    one.write(more, 0, 0)
    assert file_of(one, tmp_path).read_bytes() == more.tobytes()


def test_rows_before_one_that_fails_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appended, "_CHUNK_BYTES", 16)
    one, array = Appended(tmp_path, "x"), rows(4, 4)
    chunks = appended._chunks

    def failing(*about: object) -> object:
        for i, chunk in enumerate(chunks(*about)):  # type: ignore[arg-type]
            if i == 2:
                raise OSError(28, "No space left on device")
            yield chunk

    monkeypatch.setattr(appended, "_chunks", failing)
    with pytest.raises(OSError, match="No space"):
        one.write(array, 0, 0)
    assert np.array_equal(read(one, tmp_path), array[:2])
    monkeypatch.setattr(appended, "_chunks", chunks)
    one.write(array, 0, 0)
    assert np.array_equal(read(one, tmp_path), array)
    assert len(os.listdir(tmp_path)) == 1


def test_what_is_new_is_forced_to_the_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: forced.append(os.fstat(file).st_size))
    one, text = Appended(tmp_path, "x"), Appended(tmp_path, "y")
    one.write(rows(2, 4), 0, 0)
    text.append(b"abc")
    for _ in range(2):
        one.sync()
        text.sync()
    assert forced == [32, 3]
    one.write(rows(3, 4), 0, 0)
    one.sync()
    assert forced == [32, 3, 48]
