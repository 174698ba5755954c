"""A kernel keeps nothing of widgets that were closed, nor of traces that are shown no more."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from attnwidget import AttentionWidget, Trace


def traced() -> Trace:
    return Trace.from_weights(np.full((2, 4, 5), 0.2), source=list("abcde"), target=list("wxyz"))


def test_a_closed_widget_is_gone_with_its_trace() -> None:
    trace = traced()
    widget = AttentionWidget(trace)
    widget.step = 1
    widget._repr_mimebundle_()
    gone = [weakref.ref(widget), weakref.ref(trace)]
    widget.close()
    del widget, trace
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_a_trace_that_another_took_the_place_of_is_gone() -> None:
    trace = traced()
    widget = AttentionWidget(trace)
    gone = weakref.ref(trace)
    widget.trace = traced()
    del trace
    gc.collect()
    assert gone() is None
    widget.close()


def test_a_widget_that_is_open_stays(request: pytest.FixtureRequest) -> None:
    shown = weakref.ref(widget := AttentionWidget(traced()))
    request.addfinalizer(widget.close)
    del widget
    gc.collect()
    assert shown() is not None
