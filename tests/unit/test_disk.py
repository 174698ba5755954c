"""Files are there whole or not at all, and what is said of those that are none."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from attnwidget.disk import TraceError, WriteError, check_file, check_text, replacing, unique, write_whole


def test_a_file_of_enough_bytes_is_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    check_file(tmp_path / "a")
    check_file(tmp_path / "a", 5)
    (tmp_path / "empty").touch()
    check_file(tmp_path / "empty")


def test_a_file_that_is_too_short_is_said_by_how_much(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(ValueError, match=r"^it was cut short: 2 bytes of an array are not there$"):
        check_file(tmp_path / "a", 7)


def test_no_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_file(tmp_path / "a")


def test_a_folder_is_no_plain_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^it is not a plain file"):
        check_file(tmp_path)


def test_what_the_system_does_not_open_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(ValueError, match=r"^one of its files cannot be read: .*symbolic links"):
        check_file(tmp_path / "a")


def test_no_name_of_an_object_stands_twice() -> None:
    assert unique([("a", 1), ("b", 1)]) == {"a": 1, "b": 1}
    with pytest.raises(ValueError, match=r"^a field of its header stands twice$"):
        unique([("a", 1), ("b", 2), ("a", 1)])


@pytest.mark.parametrize(
    ("part", "share"),
    [
        ("[]", 0.8),
        ("{}", 0.65),
        ("1.5", 0.8),
        ('"some words"', 0.8),
        ('{"a":1.5}', 0.5),
        ('[["a",0.25],["b",0.5]]', 0.5),
    ],
)
def test_no_more_is_refused_than_takes_as_much_memory(part: str, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[" + ",".join([part] * 1000) + "]"
    tracemalloc.start()
    read = json.loads(text)
    taken = tracemalloc.get_traced_memory()[0] + 3 * len(text)  # the text itself, as bytes and as a string
    tracemalloc.stop()
    assert len(read) == 1000
    monkeypatch.setattr("attnwidget.disk.MAX_TEXT_COST", 2 * taken)
    check_text(text.encode())
    monkeypatch.setattr("attnwidget.disk.MAX_TEXT_COST", int(taken * share))
    with pytest.raises(ValueError, match="tokens and steps need 0 MB of memory, at most 0 were expected"):
        check_text(text.encode())


def test_what_texts_need_is_told_in_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.disk.MAX_TEXT_COST", 5 << 20)
    texts = [b"x" * (1 << 20)] * 2
    with pytest.raises(ValueError, match=r"^its tokens and steps need 6 MB of memory, at most 5 were expected$"):
        check_text(*texts)
    monkeypatch.setattr("attnwidget.disk.MAX_TEXT_COST", 6 << 20)
    check_text(*texts)


def test_a_file_in_a_folder_that_is_not_there_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^the folder .*no does not exist; make it first\.$"):
        write_whole(tmp_path / "no" / "a", b"")


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder, the name of a file was expected\.$"):
        write_whole(tmp_path, b"")


def test_a_file_is_written_beside_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with replacing(target) as temporary:
        temporary.write_bytes(b"new")
        assert (temporary.parent, target.read_bytes()) == (tmp_path, b"old")
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".tmp")
    assert (target.read_bytes(), os.listdir(tmp_path)) == (b"new", ["a.bin"])


def test_what_could_not_be_written_is_an_error_of_the_system_and_of_the_trace() -> None:
    error = WriteError(28, "no room", "a.attn")
    assert isinstance(error, OSError)
    assert isinstance(error, TraceError)
    assert (error.errno, error.filename, str(error)) == (28, "a.attn", "[Errno 28] no room: 'a.attn'")
