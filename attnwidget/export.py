"""Export a trace as one HTML file: the same views, no kernel, no network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import zlib
from typing import TYPE_CHECKING, cast

from attnwidget.base124 import as_text
from attnwidget.built import LOADER, STANDALONE
from attnwidget.disk import write_whole
from attnwidget.selection import chosen
from attnwidget.wire.fit import Budget, pieces
from attnwidget.wire.limits import PAGE_WEIGHTS

if TYPE_CHECKING:
    from attnwidget.trace import Trace


PAGE = Budget(  # what does not fit is left out, the last sites first
    n_bytes=8 << 20,
    exact=512 << 10,
    terms=256 << 10,
    whole=8 << 20,
    weights=32 << 20,
    times=8,
    seconds=3.0,
    tokens=None,
    piece=PAGE_WEIGHTS,
)

_STYLE = """\
:root { color-scheme: light dark; }
body { margin: 0; padding: 18px; background: light-dark(#ffffff, #101217); }
main { max-width: 1120px; margin: 0 auto; }
"""

_PAGE = """\
<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src '{loader_hash}' '{code_hash}'; \
style-src '{style_hash}'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; \
trusted-types attnwidget">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main></main>
{first}
<script type="text/plain" data-code>{code}</script>
<script>{loader}</script>
{others}
</body>
</html>
"""


def to_html(trace: Trace, path: str | os.PathLike[str], **selection: object) -> None:
    """Write one HTML file with every view alive: stepping, hovering, choosing heads.

    The page opens from disk, asks for nothing from any network, and its Content-Security-Policy forbids all but its
    own scripts. An 8 x 8 trace makes about 60 kB. Weights are float32 while they are few, else off by at most 1/510 of
    their row's range; the page says which.

    Args:
        trace: what to show.
        path: the file to write; an existing one is replaced once the new one is whole.
        selection: how to look at it first, by the names of the widget's traits, as in `step=3, rows="key"`; by default
            at the last step of what a decoder looks at, or the first token of an encoder.

    Raises:
        FileNotFoundError: the front end was not built.
        TraitError, TypeError: no such trait, or a value that the trace does not have.
        OSError: the file could not be written.
    """
    loader, code = (path.read_text("utf-8") for path in (LOADER, STANDALONE))
    loader = re.sub(r"<(?=/script|!--)", r"<\\", loader, flags=re.IGNORECASE)
    first, others = embedded(trace, **selection)
    page = _PAGE.format(
        loader_hash=_hash(loader),
        code_hash=_hash(code),
        style_hash=_hash(_STYLE),
        language="zh" if selection.get("language") == "zh" else "en",
        title=html.escape(trace.title or "Attention"),
        style=_STYLE,
        first=first,
        code=as_text(zlib.compress(code.encode("utf-8"), 9)),
        loader=loader,
        others=others,
    )
    write_whole(path, page.encode("utf-8", errors="replace"))


def embedded(trace: Trace, **selection: object) -> tuple[str, str]:
    """Return what a page holds of a trace, as elements: the picture that is drawn first, and the others.

    Raises:
        TraitError, TypeError: as `to_html` raises them.
    """
    look = chosen(trace, selection)
    site, head, step = (cast("int", look[name]) for name in ("site", "head", "step"))
    first, *others = pieces(trace, 0, site, head, step, PAGE)
    return _element("selection", json.dumps(look), first.data), "\n".join(
        _element("heads", " ".join(f"{site}:{head}" for site, head in piece.heads), piece.data) for piece in others
    )


def _element(name: str, value: str, data: bytes) -> str:
    return f'<script type="text/plain" data-{name}="{html.escape(value)}">{as_text(data)}</script>'


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
