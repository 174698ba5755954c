"""The modules of a model are found once, and asked only where they may answer."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

import attnwidget as aw
from attnwidget.capture.inventory import Inventory
from attnwidget.trace import Trace


class Wrapper(nn.Module):
    """Answers for what it wraps, as adapters of weights do."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


class Named(nn.Module):
    kind = "named by its class"


def model() -> nn.Module:
    own = nn.Linear(2, 2)
    own.kind = "named by itself"  # type: ignore[assignment]
    return nn.Sequential(Wrapper(Named()), own, nn.Linear(2, 2), Wrapper(nn.Linear(2, 2)), Wrapper(own))


def test_a_diagram_made_later_is_that_of_the_model_as_it_was_and_keeps_none_of_it_alive() -> None:
    attending = nn.MultiheadAttention(4, 2, batch_first=True)
    whole = nn.ModuleDict({"embedding": nn.Embedding(5, 4), "attending": attending})
    x = whole["embedding"](torch.tensor([[1, 2, 3]]))
    with aw.record(whole) as trace:
        attending(x, x, x)
    whole["embedding"].num_embeddings = 99
    gone = weakref.ref(whole)
    del whole, attending
    gc.collect()
    assert gone() is None
    assert "Embedding 5 × 4" in {node.detail for node in trace.architecture.nodes}


@pytest.mark.parametrize("name", ["kind", "forward", "nothing"])
def test_those_that_have_an_attribute_are_those_that_say_so(name: str) -> None:
    whole = model()
    assert set(Inventory(whole).having(name)) == {it for it in whole.modules() if hasattr(it, name)}


def test_a_signature_changes_with_modules_and_their_code() -> None:
    whole = model()
    before = Inventory(whole).signature
    assert Inventory(whole).signature == before
    whole[2].forward = lambda x: x  # type: ignore[union-attr]
    changed = Inventory(whole).signature
    whole[2] = nn.Identity()  # type: ignore[index]
    assert len({before, changed, Inventory(whole).signature}) == 3


def test_rows_of_all_layers_enter_at_once() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    stack = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    trace, seen = Trace(), []
    trace.observe(lambda it: seen.append([site.n_queries for site in it.sites]))
    with aw.record(stack, into=trace):
        stack(torch.randn(1, 5, 8))
    assert seen == [[0], [0, 0], [0, 0, 0], [5, 5, 5], [5, 5, 5]]
