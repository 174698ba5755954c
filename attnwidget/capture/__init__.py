"""Capture: attention weights out of a torch model that knows nothing of it. Only here and in models is there torch."""

from __future__ import annotations

from attnwidget.capture.edit import Edit
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.generating import generate
from attnwidget.capture.inspecting import inspect
from attnwidget.capture.mark import mark
from attnwidget.capture.recording import record, step
from attnwidget.capture.rerunning import rerun

__all__ = ["CaptureError", "Edit", "generate", "inspect", "mark", "record", "rerun", "step"]
