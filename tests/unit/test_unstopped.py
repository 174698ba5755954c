"""No function of ours that runs while a model does can stop it: each of them fails once, on each route."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

import pytest
import torch
from decoders import built
from test_adapter_contract import D_HEAD, MODELS, N_HEADS, N_KEYS, N_QUERIES, NOTHING, Model, left_behind
from test_routes_unweighted import Net, SpatialAttention
from torch import Tensor, nn
from torch.nn import functional as F

import attnwidget as aw

CAPTURE = str(Path(aw.__file__).parent / "capture")
# What stands between a model and the rest of ours: it catches what fails behind it.
EDGES = {
    *("unstopped.run", "unstopped.__enter__", "unstopped.__exit__", "unstopped.__init__", "unstopped.__call__"),
    *("hub.__torch_function__", "hub._runs", "hub.unstopped", "hub._ordered", "hub._chained", "hub.muted"),
    *("hub.__enter__", "hub.__exit__", "dispatch.__torch_dispatch__", "fast_path.has_torch_function"),
    *("kernel._kernel", "kernel.__exit__", "kernel._leave", "hugging_face._get_interface", "hugging_face.attention"),
    *("mark.mark", "pointer._begin", "pointer._end", "returned._begin", "returned._end"),
    *("trail.<lambda>", "pointer.<lambda>", "gate.<lambda>"),  # of weak references, which keep their errors
    *("modules._note", "modules._note_call", "modules._note_model", "passes._begin", "passes._end"),
}
# What every route has in common, of which one route tells enough.
COMMON = {
    *(
        "recorder",
        "passes",
        "pieces",
        "joining",
        "sites",
        "sharding",
        "windows",
        "modules",
        "trail",
        "axes",
        "sums",
        "moved",
    ),
    *("scored", "softmax", "following", "attention", "tree", "inventory", "call", "arguments"),
}
Looks = Callable[[CodeType], None]


class Layers(nn.Module):
    """Random numbers, fast paths, weights that are returned, arguments by name, and a cell: what no other model has."""

    def __init__(self) -> None:
        super().__init__()
        size = N_HEADS * D_HEAD
        self.attention = nn.MultiheadAttention(size, N_HEADS, dropout=0.5, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(size, N_HEADS, 8, batch_first=True).eval()
        self.cell = nn.GRUCell(size, size)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        queries = queries + self.attention(queries, keys, keys)[0]
        queries = queries + self.attention(queries, keys, keys, need_weights=False)[0]
        queries = queries + F.scaled_dot_product_attention(queries, keys, keys, dropout_p=0.5)
        weights = torch.softmax(input=queries @ keys.mT, dim=-1)
        queries = queries + torch.matmul(input=F.dropout(weights, 0.5), other=keys)
        with torch.no_grad():
            return torch.as_tensor(self.encoder(self.cell(queries[0])[None]))


def images(n: int) -> Tensor:
    return torch.randn(1, n, 4, 5, generator=torch.Generator().manual_seed(2))


def tokens(n: int) -> Tensor:
    return torch.randn(1, n, N_HEADS * D_HEAD, generator=torch.Generator().manual_seed(n))


def route(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    if name == "gate":
        return Net(SpatialAttention()), (images(3),)
    if name == "decoder":
        return built("GPT-2"), (torch.arange(3, 8)[None],)
    return (Layers() if name == "layers" else Model(MODELS[name])), (tokens(N_QUERIES), tokens(N_KEYS))


def name_of(code: CodeType) -> str:
    return f"{Path(code.co_filename).stem}.{code.co_name}"


@contextmanager
def told(enters: Looks) -> Iterator[None]:
    """Call `enters` with the code of each function of capture that begins in the block."""

    def trace(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(CAPTURE):
            enters(frame.f_code)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def recorded(
    model: nn.Module, inputs: tuple[Tensor, ...], enters: Looks
) -> tuple[list[Tensor], aw.CaptureError | None]:
    """Return what a model returns while it is recorded, the state of random numbers after it, and what was told."""
    found: list[Tensor] = []
    try:
        with aw.record(model):
            torch.manual_seed(3)
            with told(enters):
                output = model(*inputs)
            found = [output if isinstance(output, Tensor) else output[0], torch.get_rng_state()]
    except aw.CaptureError as error:
        return found, error
    return found, None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*MODELS, "gate", "decoder", "layers"])
def test_each_function_of_ours_may_fail(name: str) -> None:
    model, inputs = route(name)
    seen: dict[CodeType, None] = {}
    torch.manual_seed(3)
    plain = model(*inputs)
    expected = [plain if isinstance(plain, Tensor) else plain[0], torch.get_rng_state()]
    assert recorded(model, inputs, lambda code: seen.setdefault(code))[1] is None
    ours = [code for code in seen if name_of(code) not in EDGES]
    if name not in ("softmax", "layers"):
        ours = [code for code in ours if Path(code.co_filename).stem not in COMMON]
    n_failed = 0
    for code in ours:
        hits = []

        def fail(entered: CodeType, code: CodeType = code, hits: list[int] = hits) -> None:
            if entered is code and not hits:
                hits.append(1)
                raise ArithmeticError(name_of(code))

        model, _ = route(name)
        found, error = recorded(model, inputs, fail)
        if not hits:
            continue  # it is called once, and its answer kept
        n_failed += 1
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)), name_of(code)
        assert isinstance(getattr(error, "__cause__", None), ArithmeticError), name_of(code)
        assert f"could not be read: ArithmeticError: {name_of(code)}" in str(error)
        assert left_behind(model) == NOTHING, name_of(code)
    assert n_failed > len(ours) / 2
