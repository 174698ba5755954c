"""Arrays on a disk by name: which are read and held against checksums, which are mapped, which are refused."""

from __future__ import annotations

import json
import mmap
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from attnwidget import mapped
from attnwidget.mapped import MappedArrays, Place, check_header, places_of

SMALL, LARGE = np.arange(6, dtype="<i4").reshape(2, 3), np.arange(60, dtype="<f8").reshape(3, 4, 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of two arrays behind a start of 16 bytes."""
    path = tmp_path / "two.bin"
    path.write_bytes(b"s" * 16 + SMALL.tobytes() + LARGE.tobytes())
    return path


@pytest.fixture
def places(path: Path) -> dict[str, Place]:
    return {"large": Place(path, 40, "<f8", (3, 4, 5)), "small": Place(path, 16, "<i4", (2, 3))}


def is_mapped(array: np.ndarray) -> bool:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("budget", [0, 24, 10**6])
def test_an_array_is_what_was_written(
    places: dict[str, Place], verify: bool, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "READ_BYTES", budget)
    arrays = MappedArrays(places, verify=verify)
    for name, array in (("small", SMALL), ("large", LARGE)):
        found = arrays.tensor(name)
        assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())
        assert not found.flags.writeable


@pytest.mark.parametrize(
    ("budget", "n_mapped"), [(0, 2), (23, 2), (24, 1), (24 + 479, 1), (24 + 480, 0)], ids=lambda it: str(it)
)
def test_the_smallest_are_read_as_far_as_there_is_room(
    places: dict[str, Place], budget: int, n_mapped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "READ_BYTES", budget)
    arrays = MappedArrays(places)
    assert [is_mapped(arrays.tensor(name)) for name in ("large", "small")] == [n_mapped > 0, n_mapped > 1]


def test_what_was_read_is_held_against_its_checksum(places: dict[str, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "READ_BYTES", 24)
    arrays = MappedArrays(places)
    for name in places:
        arrays.tensor(name)
    arrays.check("small", zlib.crc32(SMALL.tobytes()))
    with pytest.raises(ValueError, match=r"^its weights are not the ones that were written$"):
        arrays.check("small", 7)
    arrays.check("large", 7)  # it was not read


def test_all_are_held_against_their_checksums_where_they_are_verified(
    places: dict[str, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "READ_BYTES", 0)
    arrays = MappedArrays(places, verify=True)
    for name, array in (("small", SMALL), ("large", LARGE)):
        arrays.tensor(name)
        arrays.check(name, zlib.crc32(array.tobytes()))
        with pytest.raises(ValueError, match="not the ones"):
            arrays.check(name, zlib.crc32(array.tobytes()) ^ 1)


def test_an_array_of_no_numbers_takes_no_file(tmp_path: Path) -> None:
    arrays = MappedArrays({"none": Place(tmp_path / "not there", 9, "<f2", (3, 0, 4))})
    found = arrays.tensor("none")
    assert (found.shape, found.dtype, found.flags.writeable) == ((3, 0, 4), np.dtype("<f2"), False)


def test_an_array_that_nobody_named_is_not_there(places: dict[str, Place]) -> None:
    with pytest.raises(ValueError, match=r"^one of its arrays is not there$"):
        MappedArrays(places).tensor("other")


@pytest.mark.parametrize("budget", [0, 10**6])
def test_room_behind_rows_is_left_out_and_axes_are_put_in_order(
    path: Path, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "READ_BYTES", budget)
    arrays = MappedArrays({"it": Place(path, 40, "<f8", (3, 4, 5), width=2, axis=1)})
    assert arrays.tensor("it").tolist() == LARGE[..., :2].swapaxes(0, 1).tolist()


def test_a_file_that_is_too_short_is_said_by_how_much(path: Path) -> None:
    place = Place(path, 40, "<f8", (4, 4, 5))
    assert place.n_bytes == 640
    with pytest.raises(ValueError, match=r"^it was cut short: 160 bytes of an array are not there$"):
        place.read()


# -- files of safetensors


def written(path: Path, said: dict[str, object] | str, data: bytes = b"") -> Path:
    text = said if isinstance(said, str) else json.dumps(said)
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + data)
    return path


def test_arrays_of_each_type_are_found(tmp_path: Path) -> None:
    made = {kind: np.arange(4).astype(kind) for kind in ("<f8", "<f4", "<f2", "<i8", "<i4", "|u1")}
    save_file(made, tmp_path / "a", {"some": "words"})
    places = places_of(tmp_path / "a")
    arrays = MappedArrays(places)
    assert {name: (place.dtype, arrays.tensor(name).tolist()) for name, place in places.items()} == {
        kind: (kind, [0, 1, 2, 3]) for kind in made
    }


def test_a_type_that_no_trace_holds_is_refused(tmp_path: Path) -> None:
    save_file({"weights.0": np.zeros(2, np.int16)}, tmp_path / "a")
    with pytest.raises(ValueError, match=r"^its arrays hold I16, another shape or type than it says$"):
        places_of(tmp_path / "a")


def test_an_array_whose_name_stands_twice_is_refused(tmp_path: Path) -> None:
    said = json.dumps({"dtype": "U8", "shape": [1], "data_offsets": [0, 1]})
    with pytest.raises(ValueError, match="stands twice"):
        places_of(written(tmp_path / "a", f'{{"a": {said}, "a": {said}}}', b"1"))


def test_more_arrays_than_any_trace_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    path = written(tmp_path / "a", {str(i): one for i in range(4)})
    monkeypatch.setattr(mapped, "MAX_TENSORS", 4)
    check_header(path)
    monkeypatch.setattr(mapped, "MAX_TENSORS", 3)
    with pytest.raises(ValueError, match=r"^it has 4 tensors, at most 3 were expected$"):
        check_header(path)


def test_a_header_that_says_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a", "[" * 100)
    check_header(path)
    monkeypatch.setattr("attnwidget.disk.MAX_TEXT_COST", 100)
    with pytest.raises(ValueError, match="tokens and steps"):
        check_header(path)


def test_no_more_is_read_than_a_header_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes((10**15).to_bytes(8, "little") + b'"data_offsets"' * 10)
    monkeypatch.setattr(mapped, "MAX_TENSORS", 5)
    monkeypatch.setattr(mapped, "MAX_HEADER_BYTES", 14 * 5)
    check_header(path)
    monkeypatch.setattr(mapped, "MAX_HEADER_BYTES", 14 * 6)
    with pytest.raises(ValueError, match="6 tensors"):
        check_header(path)


def test_sizes_of_arrays_are_products(path: Path) -> None:
    assert [Place(path, 0, kind, (2, 3)).n_bytes for kind in ("<f8", "<i4", "|u1")] == [48, 24, 6]
    assert Place(path, 0, "<f4", ()).n_bytes == 4
