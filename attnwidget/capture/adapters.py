"""The adapters in order: the first that claims a computation wins."""

from __future__ import annotations

from attnwidget.capture.adapter import Adapter
from attnwidget.capture.dispatch import DispatchAdapter
from attnwidget.capture.flex import FlexAdapter
from attnwidget.capture.gate import GateAdapter
from attnwidget.capture.hugging_face import HuggingFaceAdapter
from attnwidget.capture.mark import MarkAdapter
from attnwidget.capture.mha import MhaAdapter
from attnwidget.capture.pointer import PointerAdapter
from attnwidget.capture.returned import ReturnedAdapter
from attnwidget.capture.sdpa import SdpaAdapter
from attnwidget.capture.softmax import SoftmaxAdapter

ADAPTERS: tuple[type[Adapter], ...] = (
    MarkAdapter,
    ReturnedAdapter,
    HuggingFaceAdapter,
    MhaAdapter,
    SdpaAdapter,
    FlexAdapter,
    DispatchAdapter,
    PointerAdapter,
    GateAdapter,
    SoftmaxAdapter,
)
