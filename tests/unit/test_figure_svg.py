"""Elements of a picture are what was told, whatever stands in texts and attributes."""

from __future__ import annotations

import base64
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest

from attnwidget.figure.svg import FONT, Group, finished, picture, pixels_as_png

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def group() -> Group:
    return picture("a title", "what is seen", "#fff", "#111")


def read(group: Group) -> list[ElementTree.Element]:
    """Return the elements behind the ground, as a reader of XML finds them."""
    return list(ElementTree.fromstring(finished(group, 10, 20)))[3:]


def test_a_picture_says_what_it_is(group: Group) -> None:
    root = ElementTree.fromstring(finished(group, 640, 480.25))
    size = {"width": "640", "height": "480.25", "viewBox": "0 0 640 480.25"}
    about = {"role": "img", "aria-label": "a title", "font-family": FONT, "fill": "#111"}
    assert (root.tag, root.attrib) == (f"{SVG}svg", about | size)
    assert [(child.tag, child.attrib, child.text) for child in root] == [
        (f"{SVG}title", {}, "a title"),
        (f"{SVG}desc", {}, "what is seen"),
        (f"{SVG}rect", {"width": "100%", "height": "100%", "fill": "#fff"}, None),
    ]


def test_parts_have_their_own_corner(group: Group) -> None:
    inner = group.at(3, 4.5).at(-1.0, 0)
    inner.write("word", 1, 2.0)
    (outer,) = read(group)
    assert (outer.tag, outer.attrib) == (f"{SVG}g", {"transform": "translate(3 4.5)"})
    assert outer[0].attrib == {"transform": "translate(-1 0)"}
    assert (outer[0][0].tag, outer[0][0].attrib) == (f"{SVG}text", {"x": "1", "y": "2", "font-size": "11"})


def test_attributes_are_written_as_svg_has_them(group: Group) -> None:
    group.add("path", stroke_width=2, d="M0 0", fill=None, opacity=0.12345, x=10.0, y=-0.5)
    group.write("word", 0, 0, 15, font_weight="bold", fill="red")
    path, text = read(group)
    assert path.attrib == {"stroke-width": "2", "d": "M0 0", "opacity": "0.123", "x": "10", "y": "-0.5"}
    assert (path.text, text.text) == (None, "word")
    assert text.attrib == {"x": "0", "y": "0", "font-size": "15", "font-weight": "bold", "fill": "red"}


@pytest.mark.parametrize(
    "text",
    ["</text><script>alert(1)</script>", '" onload="alert(1)', "' x='", "&lt;b&gt;", "]]>", "<!--", "&#0;", "a\nb"],
)
def test_texts_and_attributes_stay_what_they_are(text: str) -> None:
    group = picture(text, text, text, text)
    group.add("g", text, transform=text)
    group.write(text, 0, 0, fill=text)
    drawn = finished(group, 1, 1)
    root = ElementTree.fromstring(drawn)
    assert [child.tag for child in root.iter()] == [
        f"{SVG}{tag}" for tag in ("svg", "title", "desc", "rect", "g", "text")
    ]
    assert [child.text for child in root.iter()][1:] == [text, text, None, text, text]
    assert (root.attrib["aria-label"], root[3].attrib, root[4].attrib["fill"]) == (text, {"transform": text}, text)
    assert "<script" not in drawn


@pytest.mark.parametrize("n_channels", [1, 3])
def test_pixels_come_back(n_channels: int) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (5, 300, n_channels), np.uint8)
    kind, _, text = pixels_as_png(pixels).partition(",")
    data, chunks = base64.b64decode(text, validate=True), []
    assert (kind, data[:8]) == ("data:image/png;base64", b"\x89PNG\r\n\x1a\n")
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunk = data[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(chunk),)
        chunks.append((chunk[:4], chunk[4:]))
        at += 12 + length
    assert [name for name, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[0][1]) == (300, 5, 8, 2 if n_channels == 3 else 0, 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(chunks[1][1]), np.uint8).reshape(5, -1)
    assert (set(lines[:, 0].tolist()), chunks[2][1]) == ({0}, b"")  # no line is filtered
    assert np.array_equal(lines[:, 1:].reshape(pixels.shape), pixels)
