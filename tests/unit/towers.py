"""What the two towers of an encoder-decoder give a trace, whose source has 5 tokens."""

from __future__ import annotations

import numpy as np

from attnwidget import Site, Trace


def add_encoder(trace: Trace) -> None:
    """Add what the encoder attended to."""
    trace.add_site(Site("encoder", "encoder", 0, 2, "source", "source"))
    trace.append({"encoder": np.full((2, 5, 5), 0.2)})


def add_decoder(trace: Trace) -> None:
    """Add what the decoder attended to in its first step."""
    trace.add_site(Site("decoder", "decoder", 0, 2, "target", "target"))
    trace.add_site(Site("cross", "cross", 0, 2, "target", "source"))
    trace.append({"decoder": np.ones((2, 1, 1)), "cross": np.full((2, 1, 5), 0.2)}, token="die")
