"""Elements of an SVG picture; texts and attributes are escaped by the standard library, whatever is in them."""

from __future__ import annotations

import base64
import struct
import zlib
from xml.etree import ElementTree

import numpy as np

_NAMESPACE = "http://www.w3.org/2000/svg"
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


class Group:
    """A part of a picture, whose elements are told in CSS pixels from its own corner."""

    def __init__(self, element: ElementTree.Element) -> None:
        self.element = element

    def add(self, tag: str, text: str | None = None, **attributes: object) -> Group:
        """Add an element; `stroke_width=2` is the attribute stroke-width."""
        found = {name.replace("_", "-"): _written(value) for name, value in attributes.items() if value is not None}
        child = ElementTree.SubElement(self.element, tag, found)
        child.text = text
        return Group(child)

    def at(self, x: float, y: float) -> Group:
        """Add a part whose corner is there."""
        return self.add("g", transform=f"translate({_written(x)} {_written(y)})")

    def write(self, text: str, x: float, y: float, size: float = 11, **attributes: object) -> None:
        """Write a text whose letters stand on y."""
        self.add("text", text, x=x, y=y, font_size=size, **attributes)


def picture(title: str, description: str, ground: str, ink: str) -> Group:
    """Return an empty picture; `finished` gives it its size."""
    root = ElementTree.Element(
        "svg", {"xmlns": _NAMESPACE, "role": "img", "font-family": FONT, "fill": ink, "aria-label": title}
    )
    group = Group(root)
    group.add("title", title)
    group.add("desc", description)
    group.add("rect", width="100%", height="100%", fill=ground)
    return group


def finished(group: Group, width: float, height: float) -> str:
    """Return the text of a picture of this size, in CSS pixels."""
    box = {"width": _written(width), "height": _written(height), "viewBox": f"0 0 {_written(width)} {_written(height)}"}
    group.element.attrib.update(box)
    return ElementTree.tostring(group.element, "unicode")


def pixels_as_png(pixels: np.ndarray) -> str:
    """Return an image as a data address that stands in the picture itself.

    Args:
        pixels: uint8 [row, column, channel], with 1 (grey) or 3 channels.
    """
    rows, columns, channels = pixels.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1)  # 0: unfiltered
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2 if channels == 3 else 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _written(value: object) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
