"""Build what one library puts into a notebook, some times, and print seconds of processor time and bytes as JSON.

    python benchmarks/parts/output.py LIBRARY LAYERS HEADS TOKENS PAGE [--times N] [--causal]

Runs in the environment of the library, so that it imports nothing else of the project's. The last one built is written
to PAGE as a page of its own.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

MB = 1e6
SETTLED_S = 1.0  # a frame that has not changed for so long is the last one


def weights_of(n_layers: int, n_heads: int, n_tokens: int, *, causal: bool) -> np.ndarray:
    """Softmax of random logits, float32 [layer, head, query, key]."""
    rng = np.random.default_rng(0)
    weights = np.exp(rng.standard_normal((n_layers, n_heads, n_tokens, n_tokens), dtype=np.float32) * 2)
    if causal:
        weights = np.tril(weights)
    return weights / weights.sum(-1, keepdims=True)


def by_bertviz(weights: np.ndarray, tokens: list[str]) -> Callable[[], str]:
    """head_view of all layers."""
    import torch
    from bertviz import head_view

    layers = tuple(torch.from_numpy(layer[None]) for layer in weights)

    def build() -> str:
        # require.js comes first in a page of its own; in a notebook the cell loads it
        return str(head_view(layers, tokens, html_action="return").data)

    return build


def by_circuitsvis(weights: np.ndarray, tokens: list[str]) -> Callable[[], str]:
    """attention_heads of the heads of all layers, in the form that needs no network."""
    import torch
    from circuitsvis.attention import attention_heads

    heads = torch.from_numpy(weights.reshape(-1, *weights.shape[2:]))
    return lambda: str(attention_heads(attention=heads, tokens=tokens).local_src)


def by_inspectus(weights: np.ndarray, tokens: list[str]) -> Callable[[], str]:
    """Attention of all layers, with its default charts."""
    import inspectus
    import IPython.display

    def build() -> str:
        shown: list[str] = []
        IPython.display.display = lambda html: shown.append(html.data)
        inspectus.attention(weights, tokens)
        return "".join(shown)

    return build


def by_attnwidget(weights: np.ndarray, tokens: list[str]) -> Callable[[], object]:
    """A trace of all layers, and its widget."""
    import attnwidget as aw

    return lambda: aw.AttentionWidget(aw.Trace.from_weights(weights, source=tokens))


def settled(widget: object) -> None:
    """Wait until its frame has all that it ever will."""
    known, since = None, time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        time.sleep(0.05)
        if widget.frame is not known:  # type: ignore[attr-defined]
            known, since = widget.frame, time.monotonic()  # type: ignore[attr-defined]


def showing(widget: object) -> float:
    """Return the seconds of processor time that it takes to show the trace once more."""
    import attnwidget as aw

    start = time.process_time()
    shown = aw.AttentionWidget(widget.trace)  # type: ignore[attr-defined]
    seconds = time.process_time() - start
    settled(shown)
    return seconds


def notebook_bytes(widget: object) -> int:
    """Return the bytes that a notebook holds of a widget where its state is saved, the script included."""
    state = widget.get_state()  # type: ignore[attr-defined]

    def as_text(value: object) -> str:
        return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)

    return len(json.dumps(state, default=as_text))


BUILDERS = {
    "BertViz": by_bertviz,
    "CircuitsVis": by_circuitsvis,
    "inspectus": by_inspectus,
    "attnwidget": by_attnwidget,
}


def main() -> None:
    """Build, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=BUILDERS)
    parser.add_argument("layers", type=int)
    parser.add_argument("heads", type=int)
    parser.add_argument("tokens", type=int)
    parser.add_argument("page", type=Path)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--causal", action="store_true")
    options = parser.parse_args()
    weights = weights_of(options.layers, options.heads, options.tokens, causal=options.causal)
    tokens = [f"token{i}" for i in range(options.tokens)]
    build = BUILDERS[options.library](weights, tokens)
    seconds = []
    for _ in range(options.times):
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            built = build()
        seconds.append(time.process_time() - start)
        if not isinstance(built, str):
            settled(built)
    told: dict[str, object] = {"seconds": seconds}
    if not isinstance(built, str):
        told["showing"] = [showing(built) for _ in range(options.times)]
    if isinstance(built, str):
        told["notebook"] = told["export"] = len(json.dumps(built))
        body = built
        options.page.write_text(f"<!doctype html><html><meta charset=utf-8><body>{body}</body></html>", "utf-8")
    else:
        told["notebook"] = notebook_bytes(built)
        built.trace.to_html(options.page)  # type: ignore[attr-defined]
        told["export"] = options.page.stat().st_size
    print(json.dumps(told))


if __name__ == "__main__":
    main()
