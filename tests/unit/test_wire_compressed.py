"""Pictures become streams that any zlib reads, and weights are packed in the way that suits them."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from attnwidget.wire import compressed as packer
from attnwidget.wire.compressed import compressed

RNG = np.random.default_rng(0)
N = 1 << 16


def causal() -> np.ndarray:
    """Levels under a causal mask: runs of 0 behind each row."""
    levels = RNG.integers(1, 256, (256, 256), np.uint8)
    return np.tril(levels).ravel()


LEVELS = {
    "runs": causal(),
    "small numbers": (RNG.random(N) ** 8 * 255).astype(np.uint8),
    "repetitions": np.resize(RNG.integers(0, 256, 300, np.uint8), N),
}


def in_one_way(data: bytes, way: int) -> int:
    packed = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, 9, way)
    return len(packed.compress(data) + packed.flush())


@pytest.mark.parametrize("n_levels", [0, 1, N - 1, N])
@pytest.mark.parametrize("level", [1, 6, 9])
def test_what_is_packed_comes_back(n_levels: int, level: int) -> None:
    data = LEVELS["runs"].tobytes()
    assert zlib.decompress(compressed(data, n_levels, level)) == data
    assert zlib.decompress(compressed(data[:n_levels], 0, level)) == data[:n_levels]


@pytest.mark.parametrize("kind", LEVELS)
def test_levels_are_packed_in_the_way_that_suits_them(kind: str) -> None:
    data = LEVELS[kind].tobytes()
    sizes = [in_one_way(data, way) for way in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY)]
    assert len(compressed(data, N, 6)) <= min(sizes) + 64


def test_each_piece_is_packed_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {kind: levels.tobytes() for kind, levels in LEVELS.items()}
    monkeypatch.setattr(packer, "PIECE", N)
    apart = sum(len(compressed(data, N, 6)) for data in whole.values())
    together = compressed(b"".join(whole.values()), 3 * N, 6)
    assert len(together) <= apart + 64
    assert zlib.decompress(together) == b"".join(whole.values())


def picture(*numbers: np.ndarray) -> bytes:
    words = b'{"token": "word"}, ' * 4
    return len(words).to_bytes(4, "little") + words + b"".join(each.astype("<f4").tobytes() for each in numbers)


def test_numbers_are_packed_in_the_way_that_suits_them() -> None:
    weights = RNG.dirichlet(np.ones(128), 128)
    uneven, even = picture(weights), picture(np.full((128, 128), 1 / 3))
    assert len(compressed(uneven, 0, 6)) <= in_one_way(uneven, zlib.Z_RLE) + 64
    assert len(compressed(even, 0, 6)) < in_one_way(even, zlib.Z_RLE) / 8  # which sees no repetition of four bytes
    assert zlib.decompress(compressed(uneven, 0, 6)) == uneven


def test_words_are_not_taken_for_levels() -> None:
    words = b'{"token": "word", "candidates": []}, ' * 500
    data = words + RNG.integers(0, 256, 1000, np.uint8).tobytes()
    assert len(compressed(data, 1000, 6)) < 1300


def test_a_middle_part_decides() -> None:
    start = np.zeros(N // 8, np.uint8)
    data = np.concatenate([start, LEVELS["small numbers"]]).tobytes()
    assert (
        len(compressed(data, len(data), 6)) <= in_one_way(LEVELS["small numbers"].tobytes(), zlib.Z_HUFFMAN_ONLY) * 1.05
    )


def test_a_higher_level_packs_tighter() -> None:
    data = LEVELS["runs"].tobytes() * 3
    assert len(compressed(data, 0, 9)) < len(compressed(data, 0, 1))
