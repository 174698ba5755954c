"""The error of a capture that found no attention, or attention that it cannot put into a trace."""

from __future__ import annotations


class CaptureError(RuntimeError):
    """No attention was found, or more than can be told apart; the sentence names the modules that were looked at."""
