"""Bytes come back from their text, and nothing stands in it that a page could not hold."""

from __future__ import annotations

import numpy as np
import pytest
from texts import bytes_in

from attnwidget.base124 import as_text


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x1a<"])
@pytest.mark.parametrize("n", range(1, 41))
def test_bytes_come_bytes_in(n: int, fill: bytes) -> None:
    assert bytes_in(as_text((fill * n)[:n])) == (fill * n)[:n]


def test_random_bytes_come_bytes_in() -> None:
    data = np.random.default_rng(0).bytes(10_000)
    assert bytes_in(as_text(data)) == data


def test_nothing_is_nothing() -> None:
    assert as_text(b"") == ""


def test_15_characters_stand_for_13_bytes() -> None:
    assert len(as_text(bytes(13 * 1000))) == 1 + 15 * 1000


def test_characters_that_a_page_cannot_hold_are_not_used() -> None:
    used = set(as_text(np.random.default_rng(0).bytes(100_000)))
    assert (len(used), used & set("\0\r\x1a<"), max(used) < "\x80") == (124, set(), True)
