"""Tokens that are no words: patches of a picture, a clip or a sound."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from test_file_checks import rewritten

import attnwidget as aw
from attnwidget import Tokens
from attnwidget.scene import Scene
from attnwidget.wire import SCENE_BYTES
from attnwidget.wire.codec import pack

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (6, 8, 3), np.uint8)


def scene_of(tokens: Tokens) -> Scene:
    assert tokens.scene is not None
    return tokens.scene


def rows(n_queries: int, n_keys: int) -> np.ndarray:
    return RNG.dirichlet(np.ones(n_keys), n_queries)


def test_patches_count_row_by_row() -> None:
    tokens = Tokens.image(IMAGE, (2, 3))
    assert list(tokens) == ["r1 c1", "r1 c2", "r1 c3", "r2 c1", "r2 c2", "r2 c3"]
    assert scene_of(tokens).grid == (1, 2, 3)


def test_tokens_stand_beside_an_image() -> None:
    tokens = Tokens.image(IMAGE, (1, 2), texts=["left", "right"], before=["[CLS]", "register"], after=["so"])
    assert list(tokens) == ["[CLS]", "register", "left", "right", "so"]
    assert scene_of(tokens).before == 2


@pytest.mark.parametrize(
    "values",
    [
        IMAGE,
        IMAGE.astype(np.int64),
        IMAGE / 255,
        np.moveaxis(IMAGE, -1, 0),
        np.concatenate([IMAGE, IMAGE[..., :1]], -1),
        IMAGE.tolist(),
    ],
)
def test_pixels_come_in_many_forms(values: object) -> None:
    assert np.array_equal(scene_of(Tokens.image(values, (2, 2))).pixels[0], IMAGE)


def test_a_tensor_with_gradients_is_an_image() -> None:
    torch = pytest.importorskip("torch")
    values = torch.rand(3, 6, 8, requires_grad=True)
    assert scene_of(Tokens.image(values, (2, 2))).pixels.shape == (1, 6, 8, 3)


def test_a_grey_image_has_one_channel() -> None:
    assert scene_of(Tokens.image(IMAGE[..., 0], (1, 1))).pixels.shape == (1, 6, 8, 1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[-2.0, 2.0]]), "from -2 to 2 came"),
        (IMAGE.astype(int) * 2, "integers from 0 to 255 were expected"),
        (np.full((2, 2), np.nan), "from nan to nan came"),
        (np.zeros((2, 2, 2, 2)), r"shape \(2, 2, 2, 2\) came"),
        (np.zeros((0, 3)), "came"),
        (np.zeros(5), r"shape \(5,\) came"),
    ],
)
def test_what_is_no_image_is_refused(values: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Tokens.image(values, (1, 1))


def test_words_are_no_image() -> None:
    with pytest.raises(TypeError, match="an array of numbers was expected"):
        Tokens.image([["a", "b"]], (1, 1))


@pytest.mark.parametrize("grid", [(0, 2), (2,), (2, 2, 2), (2, 1.5), 4, "ab", None])
def test_what_is_no_grid_is_refused(grid: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"grid: .* rows and columns were expected"):
        Tokens.image(IMAGE, grid)


def test_texts_are_one_for_each_patch() -> None:
    with pytest.raises(ValueError, match="texts: 3 came for an image of 2 x 2 patches, 4 were expected"):
        Tokens.image(IMAGE, (2, 2), texts=["a", "b", "c"])


def test_a_clip_counts_frames_last() -> None:
    tokens = Tokens.video(np.stack([IMAGE] * 4), (1, 2), seconds=2.0)
    assert list(tokens)[:3] == ["t1 r1 c1", "t1 r1 c2", "t2 r1 c1"]
    assert scene_of(tokens).grid == (4, 1, 2)


def test_patches_may_span_frames() -> None:
    scene = scene_of(Tokens.video(np.stack([IMAGE] * 5), (2, 3, 4)))
    assert (scene.grid, len(scene.pixels)) == ((2, 3, 4), 2)


def test_a_clip_of_one_frame_and_one_patch() -> None:
    assert list(Tokens.video(IMAGE[None], (1, 1))) == ["t1 r1 c1"]


def test_more_frames_of_patches_than_of_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="3 frames of patches came, but the clip has 2"):
        Tokens.video(np.stack([IMAGE] * 2), (3, 1, 1))


def test_parts_of_a_sound_are_named_by_when_they_begin() -> None:
    assert list(Tokens.audio(RNG.normal(size=100), 4, seconds=2.0)) == ["0.00 s", "0.50 s", "1.00 s", "1.50 s"]
    assert list(Tokens.audio(RNG.normal(size=(8, 100)), 2)) == ["1", "2"]


def test_a_waveform_is_its_outline() -> None:
    pixels = scene_of(Tokens.audio(np.array([0, 0.5, -0.5, 0.25]), 1)).pixels
    assert pixels[0, :, :, 0].tolist() == [[128, 255, 1, 192], [128, 255, 1, 192]]


def test_silence_is_a_sound() -> None:
    assert set(scene_of(Tokens.audio(np.zeros(9), 3)).pixels.ravel()) == {128}


@pytest.mark.parametrize("values", [np.zeros((2, 2, 2)), np.array([0, np.inf]), np.zeros(0)])
def test_what_is_no_sound_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="audio: "):
        Tokens.audio(values, 2)


def test_a_grid_that_does_not_fit_the_keys_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"weights have 16 keys but strip 'source' has 17 tokens, an image of 4 x 4"):
        aw.Trace.from_weights(rows(2, 16), source=Tokens.image(IMAGE, (4, 4), before=["[CLS]"]), target=["a", "b"])


@pytest.mark.parametrize(
    ("name", "grid", "before"),
    [
        ("captioner", (1, 4, 4), 0),
        ("video", (5, 4, 4), 0),
        ("vit", (1, 4, 4), 1),
        ("residual", (1, 8, 8), 0),
        ("retrieval", (1, 4, 4), 0),
        ("agent", (1, 5, 5), 0),
    ],
)
def test_what_a_model_encoded_is_a_scene(name: str, grid: tuple[int, int, int], before: int) -> None:
    model = aw.models.pretrained(name)
    inputs = model.encode(model.example)
    tokens = Tokens.of(inputs, strip="source")
    assert (scene_of(tokens).grid, scene_of(tokens).before) == (grid, before)
    assert tokens.texts == inputs.tokens


def test_what_a_translator_encoded_are_its_words() -> None:
    model = aw.models.pretrained("reverse")
    assert Tokens.of(model.encode("abc"), strip="source") == Tokens(model.encode("abc").tokens)


GRID, SECONDS = "one of its scenes has a grid that is none", "one of its scenes lasts no time that is one"
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "grid": ({"grid": [1, 2]}, GRID),
    "grid of four": ({"grid": [1, 2, 2, 1]}, GRID),
    "grid null": ({"grid": None}, "grid is NoneType where list was expected"),
    "no patches": ({"grid": [1, 0, 2]}, GRID),
    "half patches": ({"grid": [1, 2.5, 2]}, GRID),
    "patches true": ({"grid": [True, 2, 2]}, GRID),
    "grid of words": ({"grid": ["1", "2", "2"]}, GRID),
    "more patches": ({"grid": [1, 9, 2]}, ""),
    "huge": ({"grid": [2**40, 2**40, 2]}, ""),
    "before": ({"before": -1}, GRID),
    "before half": ({"before": 0.5}, "before is float where int was expected"),
    "kind": ({"kind": "film"}, "the kind of one of its scenes is unknown"),
    "kind null": ({"kind": None}, "kind is NoneType where str was expected"),
    "crc": ({"crc": 0}, "its weights are not the ones that were written"),
    "crc null": ({"crc": None}, "crc is NoneType where int was expected"),
    "seconds": ({"seconds": -1.0}, "seconds: -1.0 came, more than 0 and less than 1e+09 was expected."),
    "no seconds": ({"seconds": 0.0}, "seconds: 0.0 came, more than 0"),
    "seconds true": ({"seconds": True}, SECONDS),
    "seconds text": ({"seconds": "1.5"}, SECONDS),
    "years": ({"seconds": 1e9}, "seconds: 1000000000.0 came, more than 0"),
}


def clip_of(seconds: float | None = None) -> aw.Trace:
    tokens = Tokens.video(IMAGE[None], (2, 2), seconds=seconds)
    return aw.Trace.from_weights(rows(2, 4), source=tokens, target=["a", "b"])


@pytest.mark.parametrize(("lie", "said"), LIES.values(), ids=LIES.keys())
def test_a_scene_that_lies_is_no_trace(tmp_path: Path, lie: dict[str, Any], said: str) -> None:
    path = tmp_path / "run.attn"
    rewritten(clip_of(), path, lambda header: header["scenes"]["source"].update(lie))
    with pytest.raises(aw.TraceError, match="^" + re.escape(f"{path} is not a trace of this version: {said}")):
        aw.load(path)


@pytest.mark.parametrize("name", ["kind", "grid", "before", "crc"])
def test_a_scene_that_says_too_little_is_no_trace(tmp_path: Path, name: str) -> None:
    rewritten(clip_of(), tmp_path / "run.attn", lambda header: header["scenes"]["source"].pop(name) and None)
    with pytest.raises(aw.TraceError, match=f"{name} is NoneType where"):
        aw.load(tmp_path / "run.attn")


def test_a_scene_of_no_strip_is_no_trace(tmp_path: Path) -> None:
    def lie(header: dict[str, Any]) -> None:
        header["scenes"]["others"] = header["scenes"].pop("source")

    path = tmp_path / "run.attn"
    rewritten(clip_of(), path, lie)
    data = path.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + n_header].replace(b'"scene.source":', b'"scene.others":')
    assert len(text) == n_header
    path.write_bytes(data[:8] + text + data[8 + n_header :])
    with pytest.raises(aw.TraceError, match=r": 1 of its scenes belong to no strip$"):
        aw.load(path)


@pytest.mark.parametrize("seconds", [None, 1e-9, 0.5, 2, np.float32(1.5), 999_999_999.5])
def test_how_long_a_clip_or_a_sound_lasts_is_saved(tmp_path: Path, seconds: float | None) -> None:
    sound = aw.Trace.from_weights(rows(2, 4), source=Tokens.audio(np.zeros(9), 4, seconds=seconds), target=["a", "b"])
    for trace in (clip_of(seconds), sound):
        trace.save(tmp_path / "run.attn")
        assert scene_of(aw.load(tmp_path / "run.attn").tokens["source"]).seconds == seconds


def test_a_file_may_say_seconds_as_a_whole_number(tmp_path: Path) -> None:
    rewritten(clip_of(), tmp_path / "run.attn", lambda header: header["scenes"]["source"].update(seconds=2))
    assert scene_of(aw.load(tmp_path / "run.attn").tokens["source"]).seconds == 2.0


@pytest.mark.parametrize("seconds", [0, -1, np.nan, np.inf, 1e9])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"^seconds: .* came, more than 0 and less than 1e\+09 was expected\.$"):
        clip_of(seconds)


@pytest.mark.parametrize("seconds", ["long", [1]])
def test_a_time_that_is_no_number_is_refused(seconds: object) -> None:
    with pytest.raises(TypeError, match=r"^seconds: \w+ came, a number was expected\.$"):
        Tokens.audio(np.zeros(9), 4, seconds=seconds)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 6, 8, 3), np.float32),
        np.zeros((6, 8, 3), np.uint8),
        np.zeros((1, 1, 6, 8, 3), np.uint8),
        np.zeros((1, 0, 8, 3), np.uint8),
        np.zeros((1, 6, 8, 2), np.uint8),
        np.zeros((1, 6, 8, 4), np.uint8),
    ],
    ids=lambda it: f"{it.dtype}, {it.shape}",
)
def test_pixels_that_are_none_are_no_trace(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "run.attn"
    clip_of().save(path)
    with safe_open(path, framework="np") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file({**tensors, "scene.source": pixels}, path, metadata)
    with pytest.raises(aw.TraceError, match=r": one of its scenes has pixels that are none$"):
        aw.load(path)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_grey_and_coloured_pixels_are_read_back(tmp_path: Path, n_channels: int) -> None:
    tokens = Tokens.image(IMAGE[..., :n_channels], (2, 2))
    aw.Trace.from_weights(rows(2, 4), source=tokens, target=["a", "b"]).save(tmp_path / "run.attn")
    assert np.array_equal(scene_of(aw.load(tmp_path / "run.attn").tokens["source"]).pixels[0], IMAGE[..., :n_channels])


def test_a_clip_that_does_not_fit_is_named_as_one() -> None:
    clip = Tokens.video(np.stack([IMAGE] * 2), (2, 2))
    with pytest.raises(ValueError, match=r"weights have 7 keys but strip 'source' has 8 tokens, a video of 2 x 2 x 2"):
        aw.Trace.from_weights(rows(2, 7), source=clip, target=["a", "b"])


def test_a_scene_is_saved_and_read_back(tmp_path: Path) -> None:
    tokens = Tokens.video(np.stack([IMAGE] * 2), (1, 2), before=["[CLS]"], seconds=1.5)
    aw.Trace.from_weights(rows(3, 5), source=tokens, target=list("abc")).save(tmp_path / "run.attn")
    again = scene_of(aw.load(tmp_path / "run.attn").tokens["source"])
    assert np.array_equal(again.pixels, scene_of(tokens).pixels)
    assert (again.kind, again.grid, again.before, again.seconds) == ("video", (2, 1, 2), 1, 1.5)


def test_a_picture_holds_the_scene_once(read_picture: Callable[[bytes], Any]) -> None:
    trace = aw.Trace.from_weights(rows(2, 4), source=Tokens.image(IMAGE, (2, 2)), target=["a", "b"])
    strip = read_picture(pack(trace, 0, [])).header["strips"][0]
    assert strip["scene"]["shape"] == [1, 6, 8, 3]
    later = read_picture(pack(trace, 1, [], since=trace.cursor)).header["strips"]
    assert later == []


def test_pixels_lie_where_the_header_says(read_picture: Callable[[bytes], Any]) -> None:
    trace = aw.Trace.from_weights(rows(2, 4), source=Tokens.image(IMAGE, (2, 2)), target=["a", "b"])
    data = pack(trace, 0, [])
    n_header = int.from_bytes(data[:4], "little")
    scene = json.loads(data[4 : 4 + n_header])["strips"][0]["scene"]
    start = 4 + n_header + scene["offset"]
    assert data[start : start + IMAGE.size] == IMAGE.tobytes()


@pytest.mark.parametrize("shape", [(1, 999, 1001, 3), (8, 500, 300, 3), (1, 2, 200_000, 1), (1, 1, 300_000, 1)])
def test_large_scenes_are_sent_smaller(shape: tuple[int, int, int, int]) -> None:
    scene = Scene("image", np.full(shape, 200, np.uint8), (1, 1, 1)).shrunk(SCENE_BYTES)
    assert scene.pixels.nbytes <= SCENE_BYTES
    assert scene.pixels.shape[0] == shape[0]
    assert set(scene.pixels.ravel()) == {200}


def test_shrinking_takes_means() -> None:
    pixels = np.array([[0, 100, 30], [100, 200, 50], [7, 9, 11]], np.uint8)[None, ..., None]
    assert Scene("image", pixels, (1, 1, 1)).shrunk(4).pixels[0, ..., 0].tolist() == [[100, 40], [8, 11]]


@pytest.mark.parametrize(("count", "grid"), [(16 * 16, (1, 16, 16)), (8 * 8, (1, 8, 8)), (1, (1, 1, 1)), (10, None)])
def test_merged_patches_are_a_coarser_grid(count: int, grid: tuple[int, int, int] | None) -> None:
    pooled = Scene("image", IMAGE[None], (1, 32, 32)).pooled(count)
    assert (pooled and pooled.grid) == grid
