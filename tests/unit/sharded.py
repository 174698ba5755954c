"""What test_sharding.py has two processes run: a script for torchrun, which writes a file for each check and rank."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import transformers as tf
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn import functional as F

import attnwidget as aw
from attnwidget.capture import ranks

CHECKS: dict[str, Callable[[], None]] = {}
N_HEADS, N_PROMPT = 8, 6
GREEDY = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False, "progress": False}
STYLES = {"colwise": ColwiseParallel, "rowwise": RowwiseParallel}
PROMPT = torch.arange(3, 3 + N_PROMPT)[None]
ATTENTION = "model.layers.1.self_attn"


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS[function.__name__] = function
    return function


def llama() -> Any:  # noqa: ANN401
    torch.manual_seed(0)
    config = tf.LlamaConfig(
        vocab_size=60,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=N_HEADS,
        num_key_value_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = tf.LlamaForCausalLM(config).eval()
    for name, parameter in model.named_parameters():
        if "q_proj" in name or "k_proj" in name:
            parameter.data.mul_(8)  # so that attention is far from even
    return model


def split(model: Any, mesh: DeviceMesh | None = None) -> Any:  # noqa: ANN401
    """Share a model out as its configuration plans it."""
    n_layers = model.config.num_hidden_layers
    plan = {
        f"model.{path.replace('*', str(i))}": STYLES[style]()
        for path, style in model.config.base_model_tp_plan.items()
        for i in range(n_layers)
        if style in STYLES
    }
    return parallelize_module(model, mesh or init_device_mesh("cpu", (2,)), plan)


class Block(nn.Module):
    """Attention by hand; how many heads there are, its projections alone tell."""

    def __init__(self, *, fused: bool = True) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.q, self.k, self.v, self.o = (nn.Linear(64, 64) for _ in range(4))
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (it(x).unflatten(-1, (-1, 8)).transpose(1, 2) for it in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True) if self.fused else (q @ k.mT).softmax(-1) @ v
        return self.o(y.transpose(1, 2).flatten(-2))


def split_block(*, fused: bool = True, local: bool = True) -> Block:
    plan: dict[str, Any] = {name: ColwiseParallel(use_local_output=local) for name in "qkv"}
    return parallelize_module(Block(fused=fused), init_device_mesh("cpu", (2,)), plan | {"o": RowwiseParallel()})  # type: ignore[return-value]


class Part(nn.Module):
    """The part of a block that a rank has, by weights of its own in place of tensors that know of others."""

    num_heads = N_HEADS

    def __init__(self) -> None:
        super().__init__()
        whole, rows = Block(), slice(32 * dist.get_rank(), 32 * dist.get_rank() + 32)
        for name in "qkv":
            linear, full = nn.Linear(64, 32), getattr(whole, name)
            linear.weight.data, linear.bias.data = full.weight[rows], full.bias[rows]
            setattr(self, name, linear)
        self.o, self.bias = nn.Linear(32, 64, bias=False), whole.o.bias
        self.o.weight.data = whole.o.weight[:, rows]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (it(x).unflatten(-1, (-1, 8)).transpose(1, 2) for it in (self.q, self.k, self.v))
        y = self.o(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(-2))
        dist.all_reduce(y)
        return y + self.bias


def assert_alike(trace: aw.Trace, expected: aw.Trace) -> None:
    assert [site.name for site in trace.sites] == [site.name for site in expected.sites]
    assert trace.tokens == expected.tokens
    for site in expected.sites:
        assert trace.weights(site.name).shape[0] == N_HEADS
        np.testing.assert_allclose(trace.weights(site.name), expected.weights(site.name), atol=1e-5, rtol=0)


def recorded(model: Any, *inputs: Any, **options: Any) -> aw.Trace:  # noqa: ANN401
    with aw.record(model, **options) as trace:
        model(*inputs)
    return trace


@contextmanager
def complains(*parts: str) -> Iterator[None]:
    try:
        yield
        said = ""
    except aw.CaptureError as error:
        said = str(error)
    assert said
    assert all(part in said for part in parts), said


@contextmanager
def impatient() -> Iterator[None]:
    before, ranks.SECONDS = ranks.SECONDS, 1.0
    yield
    ranks.SECONDS = before
    dist.barrier()


@check
def tensor_parallel_records_all_heads() -> None:
    model, whole = split(llama()), llama()
    for store in ("dense", "qk", "reduced"):
        trace, expected = recorded(model, PROMPT, store=store), recorded(whole, PROMPT, store=store)
        assert {site.n_heads for site in trace.sites} == {N_HEADS}
        if store == "reduced":
            for mine, theirs in zip(*(it.overview(it.sites[1], head=6) for it in (trace, expected)), strict=True):
                np.testing.assert_allclose(mine, theirs, atol=1e-5)
        else:
            assert_alike(trace, expected)


@check
def tensor_parallel_generates() -> None:
    model, whole = split(llama()), llama()
    for store in ("dense", "qk"):
        trace, expected = (aw.generate(it, PROMPT, store=store, **GREEDY) for it in (model, whole))
        assert_alike(trace, expected)
    trace, expected = (aw.generate(it, PROMPT, num_beams=3, **GREEDY) for it in (model, whole))
    assert_alike(trace, expected)


@check
def steps_are_gathered_as_they_come() -> None:
    traces = []
    for model in (split(llama()), llama()):
        cache = None
        with aw.record(model, source=[str(it) for it in range(N_PROMPT)]) as trace:
            for ids in (PROMPT, PROMPT[:, :1], PROMPT[:, 1:2]):
                output = model(ids, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
                aw.step("a")
                assert trace.weights(trace.sites[0]).shape[:2] == (N_HEADS, len(trace.steps))
        traces.append(trace)
    assert_alike(*traces)


@check
def edits_count_heads_of_all_ranks() -> None:
    model, whole = split(llama()), llama()
    for head in (2, 5):
        edit = aw.Edit("ablate", site=ATTENTION, head=head)
        outputs, traces = [], []
        for it in (model, whole):
            with aw.record(it, edits=[edit]) as trace:
                outputs.append(it(PROMPT).logits)
            traces.append(trace)
        torch.testing.assert_close(*outputs, atol=1e-5, rtol=0)
        assert not torch.allclose(outputs[0], whole(PROMPT).logits, atol=1e-4)
        assert_alike(*traces)
    with complains("No call matched", "8 heads"):
        recorded(model, PROMPT, edits=[aw.Edit("ablate", head=N_HEADS)])
    before = aw.generate(model, PROMPT, **GREEDY)
    assert aw.rerun(before, aw.Edit("mean", site=ATTENTION, head=6)).changes[0].head == 6


@check
def modules_written_by_hand_are_gathered() -> None:
    x = torch.randn(1, 9, 64, generator=torch.Generator().manual_seed(2))
    for fused, local in ((True, True), (False, True), (False, False)):
        block = split_block(fused=fused, local=local)
        expected = recorded(Block(fused=fused), x)
        assert_alike(recorded(block, x), expected)
    mine, theirs = (recorded(nn.Sequential(it), x) for it in (Part(), Block()))
    assert_alike(mine, theirs)
    with complains("DTensor", "use_local_output=True"):
        recorded(block, x, edits=[aw.Edit("ablate", head=1)])


@check
def one_axis_of_a_mesh_is_gathered() -> None:
    mesh = init_device_mesh("cpu", (1, 2), mesh_dim_names=("dp", "tp"))
    model = split(llama(), mesh["tp"])
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh["dp"])
    fully_shard(model, mesh=mesh["dp"])
    assert_alike(recorded(model, PROMPT), recorded(llama(), PROMPT))


@check
def replicas_record_their_own_examples() -> None:
    rank, batch = dist.get_rank(), torch.stack([PROMPT[0], PROMPT[0].flip(0)])
    expected = recorded(llama(), batch[rank : rank + 1])
    sharded = llama()
    for layer in sharded.model.layers:
        fully_shard(layer)
    assert_alike(recorded(fully_shard(sharded), batch[rank : rank + 1]), expected)
    parallel = nn.parallel.DistributedDataParallel(llama().requires_grad_(True))
    assert_alike(recorded(parallel, batch[rank : rank + 1]), expected)
    if rank == 0:  # a replica needs nobody else
        assert_alike(recorded(parallel.module, batch[:1]), expected)


@check
def a_rank_that_does_not_record_is_named() -> None:
    block, x = split_block(), torch.ones(1, 3, 64)
    for reason in ("rank 1 did not record",) * 2:
        with impatient():
            if dist.get_rank() == 0:
                with complains(reason, "0, 1"):
                    recorded(block, x)
    assert len(recorded(block, x).sites) == 1  # they find each other again


@check
def ranks_that_run_different_things_are_named() -> None:
    block, x, rank = split_block(), torch.ones(1, 3, 64), dist.get_rank()
    with complains("store='dense'", "store='qk'"):
        recorded(block, x, store=("dense", "qk")[rank])
    with complains("token 'a'", "token 'b'"), aw.record(block):
        block(x)
        aw.step("ab"[rank])
    with complains("own float32 [2, 3]", "own float32 [2, 4]"), aw.record(split(llama())):
        aw.mark(torch.ones(1, 4, 2, 3 + rank) / (3 + rank), name="own")
    with complains("rows of sites", "the end of the recording"), aw.record(split(llama())):
        for _ in range(2 - rank):
            aw.mark(torch.full((1, 4, 1, 3), 1 / 3), name="own")
            aw.step("a")
    with complains("rank 1 stopped recording: CaptureError: enough" if rank == 0 else "enough"), aw.record(block):
        block(x)
        if rank == 1:
            raise aw.CaptureError("enough")
    assert len(recorded(block, x).sites) == 1


@check
def what_torch_says_of_its_own_tensors_stays() -> None:
    block, x, said = split_block(local=False), torch.ones(1, 3, 64), []
    for record in (False, True):
        try:
            if record:
                recorded(block, x)
            else:
                block(x)
        except Exception as error:  # noqa: BLE001 - whatever torch says
            said.append((type(error), str(error)))
        else:
            said.append((None, ""))
    assert said[0] == said[1], said
    assert said[0][0] is NotImplementedError


@check
def the_plan_of_transformers_is_gathered() -> None:
    place = Path(sys.argv[1]) / "model"
    if dist.get_rank() == 0:
        llama().save_pretrained(place)
    dist.barrier()
    model, whole = tf.LlamaForCausalLM.from_pretrained(place, tp_plan="auto").eval(), llama()
    assert_alike(recorded(model, PROMPT), recorded(whole, PROMPT))
    for store in ("dense", "qk"):
        trace, expected = (aw.generate(it, PROMPT, store=store, **GREEDY) for it in (model, whole))
        assert_alike(trace, expected)


def main(folder: str, names: list[str]) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    dist.init_process_group("gloo", timeout=timedelta(seconds=20))
    for name in names or CHECKS:
        fault = ""
        try:
            CHECKS[name]()
        except Exception:  # noqa: BLE001 - whatever it is, the test shows it
            fault = traceback.format_exc()
        Path(folder, f"{name}.{dist.get_rank()}").write_text(fault, "utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
