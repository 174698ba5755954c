"""inspect: a table of what attends, by which route, and what cannot be shown; the model stays as it was."""

from __future__ import annotations

import copy
import html

import pytest
import torch
from architectures import built as built_architecture
from architectures import inputs
from decoders import built
from torch import Tensor, nn

import attnwidget as aw


def test_each_attention_module_has_its_route_and_its_heads() -> None:
    report = aw.inspect(built("Llama"))
    assert [(it.path, it.type, it.kind, it.route, it.n_heads) for it in report.modules] == [
        (f"model.layers.{i}.self_attn", "LlamaAttention", "decoder", "hugging_face", 4) for i in range(2)
    ]
    assert report.notes == ()
    lines = str(report).splitlines()
    assert lines[0] == "LlamaForCausalLM: 2 of 2 attention modules can be recorded."
    assert lines[1].split()[:4] == ["module", "class", "kind", "route"]
    assert "model.layers.1.self_attn" in lines[4]


def test_all_kinds_of_torch_nn_are_told() -> None:
    model = nn.Transformer(32, 4, 2, 2, 64, batch_first=True)
    report = aw.inspect(model, torch.randn(2, 6, 32), torch.randn(2, 4, 32))
    found = {it.path: (it.kind, it.route, it.n_heads, it.shape) for it in report.modules}
    assert found["encoder.layers.0.self_attn"][0] == "encoder"
    assert found["decoder.layers.1.multihead_attn"] == ("cross", "mha", 4, (4, 6))
    assert model.training


@pytest.mark.parametrize("name", ["Jamba", "Longformer", "Mamba", "T5"])
def test_what_cannot_be_shown_is_in_the_table(name: str) -> None:
    model = built_architecture(name)
    report = aw.inspect(model, **inputs("pair" if name == "T5" else "text"))
    if name == "Mamba":
        assert not any(it.route for it in report.modules)
        assert "keep a recurrent state" in report.notes[0]
    if name == "Jamba":
        remarks = {it.type: it.remark for it in report.modules if it.remark}
        assert "keeps a state" in remarks["JambaMambaMixer"]
    if name == "Longformer":
        assert {it.route for it in report.modules} == {"returned"}
    if name == "T5":
        assert {it.kind for it in report.modules} == {"encoder", "decoder", "cross"}


class Silent(nn.Module):
    """Calls itself attention, and weighs nothing by a softmax."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x @ x.mT) @ x


class SilentAttention(Silent):
    pass


def test_attention_that_nobody_sees_is_named() -> None:
    model = nn.Sequential(nn.Linear(4, 4), SilentAttention())
    report = aw.inspect(model, torch.randn(1, 3, 4))
    (module,) = report.modules
    assert (module.path, module.type, module.route) == ("1", "SilentAttention", "")
    assert "aw.mark(weights)" in module.remark
    assert "| 1 | SilentAttention |" in report._repr_markdown_()


def test_names_are_no_markup_in_a_notebook() -> None:
    inner = nn.MultiheadAttention(4, 2, batch_first=True)

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("<img src=x onerror=f()>|*a*\n__b__", inner)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(inner(x, x, x)[0])

    Named.__name__ = "[Model](javascript:f()) & `<b>`"
    heading, _, table = aw.inspect(Named(), torch.randn(1, 3, 4))._repr_markdown_().partition("\n\n")
    (row,) = table.splitlines()[2:]
    assert not set("<>[]*`\\") & set(heading + table)
    assert row.count("|") == len(table.splitlines()[0].split("|")) - 1
    assert html.unescape(row).startswith("| <img src=x onerror=f()>|*a* __b__ | MultiheadAttention |")
    assert html.unescape(heading).startswith(Named.__name__)
    assert "__" not in table


def test_the_model_stays_as_it_was() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.MultiheadAttention(4, 2, batch_first=True)).train()
    model[2].eval()

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor) -> Tensor:
            self.inner[0].running_mean.add_(1)  # type: ignore[union-attr, operator]
            x = model[1](model[0](x))
            return torch.as_tensor(model[2](x, x, x)[0])

    wrapped = Wrapped()
    before, state = copy.deepcopy(wrapped.state_dict()), torch.get_rng_state()
    aw.inspect(wrapped, torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)))
    assert all(torch.equal(value, before[name]) for name, value in wrapped.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert [it.training for it in model] == [True, True, False]
    assert not any(it._forward_hooks or it._forward_pre_hooks for it in wrapped.modules())


def test_a_model_without_an_input_of_its_own_asks_for_one() -> None:
    with pytest.raises(aw.CaptureError, match=r"Linear must run once.*aw\.inspect\(model, x\)"):
        aw.inspect(nn.Linear(2, 2))
    with pytest.raises(TypeError, match="str came"):
        aw.inspect("gpt2")  # type: ignore[arg-type]
