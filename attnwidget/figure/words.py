"""Every word in a figure, in the languages that the page speaks too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Words:
    """The words of a language.

    Args:
        title: of a trace without one.
        kinds, mask: what kind of attention a site is.
        layer, head, mean, row: places, given a number from 0 and how many there are.
        layer_name, layers, head_axis: of a figure of all heads: the name of a layer; how many layers of how many heads,
            0 where these differ; what columns are.
        along: what the rows and the columns of a head are: a name, how many, the first token and the last.
        patches_lie: a head that is laid out as a picture: what its patches are, and what attends to them.
        row_scaled, column_scaled, tile_scaled, binned: what the colour of a cell of a head says.
        heads, tokens, patches: of the diagram: how many there are of something.
        so_far: the strip of what was said before.
        towers, attention, attentions, context_vector: its blocks, by the kind of a site.
        query_with: what asks, by `Site.asks`.
        rows: what a row is, of an encoder and of others.
        names: of the axes.
        strength_step, strength_all, strength_so_far: what bars stand for, in one line or two.
        expected, own: the expectation.
        verdicts: of inputs that receive less or more than expected.
        omitted, dimmed: of special tokens.
        clearest: what a picture shows.
        row_top: the end of a scale that is each row's own.
        nothing, nothing_yet: where there is no weight.
        sentence, other, masked: what the step suggests.
        flags: what is unusual, where the language is not that of `outline.Flag`.
    """

    title: str
    kinds: dict[str, str]
    mask: str
    layer: Callable[[int, int], str]
    head: Callable[[int, int], str]
    mean: Callable[[int], str]
    row: Callable[[str, int, int], str]
    layer_name: Callable[[int], str]
    layers: Callable[[int, int], str]
    head_axis: str
    along: tuple[Callable[[str, int, str, str], str], Callable[[str, int, str, str], str]]
    patches_lie: Callable[[str, str], str]
    row_scaled: str
    column_scaled: str
    tile_scaled: str
    binned: Callable[[int], str]
    heads: Callable[[int], str]
    tokens: Callable[[int], str]
    patches: Callable[[int], str]
    so_far: str
    towers: dict[str, str]
    attention: str
    attentions: dict[str, str]
    context_vector: str
    query_with: dict[str, str]
    rows: tuple[str, str]
    names: dict[str, str]
    strength_step: tuple[str, str]
    strength_all: tuple[str, str]
    strength_so_far: tuple[str, str]
    expected: Callable[[str], str]
    own: str
    verdicts: dict[str, str]
    omitted: Callable[[int], str]
    dimmed: Callable[[int], str]
    clearest: Callable[[str, str], str]
    row_top: str
    nothing: Callable[[str, int, str], str]
    nothing_yet: str
    sentence: Callable[[str, int, str, str, str], str]
    other: Callable[[str, str], str]
    masked: Callable[[str, int, str, str, str], str]
    flags: dict[str, str]


def _span(n: int, first: str, last: str) -> str:
    return f"“{first}” to “{last}” ({n})" if n > 1 else f"“{first}”"


_EN = Words(
    title="Attention",
    kinds={"encoder": "encoder self", "decoder": "decoder self", "cross": "decoder → encoder"},
    mask="mask",
    layer=lambda layer, n: f"layer {layer + 1} of {n}",
    head=lambda head, n: f"head {head + 1} of {n}",
    mean=lambda n: f"mean of {n} heads",
    row=lambda row, step, n: f"{row} {step + 1} of {n}",
    layer_name=lambda layer: f"layer {layer + 1}",
    layers=lambda n, heads: (
        f"{n} {'layer' if n == 1 else 'layers'}" + (f" of {heads} {'head' if heads == 1 else 'heads'}" if heads else "")
    ),
    head_axis="head",
    along=(
        lambda name, n, first, last: f"Rows of a tile: {name}, {_span(n, first, last)}.",
        lambda name, n, first, last: f"Columns of a tile: {name}, {_span(n, first, last)}.",
    ),
    patches_lie=lambda name, query: f"A tile shows the patches of the {name} where they lie, for “{query}”.",
    row_scaled="Each row of a tile is scaled to its largest weight.",
    column_scaled="Each column of a tile is scaled to its largest weight.",
    tile_scaled="Each tile is scaled to its largest weight.",
    binned=lambda n: f"Each cell shows the maximum of up to {n} weights.",
    heads=lambda n: f"{n} {'head' if n == 1 else 'heads'}",
    tokens=lambda n: f"{n} {'token' if n == 1 else 'tokens'}",
    patches=lambda n: f"{n} {'patch' if n == 1 else 'patches'}",
    so_far="output so far",
    towers={"encoder": "encoder", "decoder": "decoder", "cross": "decoder"},
    attention="attention",
    attentions={"encoder": "self-attention", "decoder": "self-attention", "cross": "cross-attention"},
    context_vector="context",
    query_with={
        "": "query",
        "before": "asks with the state before the step, s(t−1)",
        "after": "asks with the state of the step, s(t)",
    },
    rows=("token", "step"),
    names={"input": "input", "output": "output", "read": "read so far", "key": "looked at", "query": "looking"},
    strength_step=("strength", "in this step"),
    strength_all=("strength", "of all tokens"),
    strength_so_far=("strength", "so far"),
    expected=lambda value: f"expected {value}",
    own="your expectation",
    verdicts={"weak": "weak", "strong": "strong", "": ""},
    omitted=lambda n: f"{n} special inputs are left out: the other weights are renormalised, not as recorded",
    dimmed=lambda n: f"{n} special inputs are dimmed",
    clearest=lambda token, weight: f"clearest where the weight is largest: {token}, {weight}",
    row_top="row max",
    nothing=lambda row, step, token: f"{row.capitalize()} {step + 1}, “{token}”: no weights to read.",
    nothing_yet="No weights were recorded yet.",
    sentence=lambda row, step, token, percent, key: (
        f"{row.capitalize()} {step + 1}, “{token}”: {percent} of the attention is on “{key}”."
    ),
    other=lambda key, percent: f" The strongest other input is “{key}” with {percent}.",
    masked=lambda row, step, token, weight, key: (
        f"{row.capitalize()} {step + 1}, “{token}”: the mask is strongest at “{key}”, with {weight}."
    ),
    flags={},
)
_ZH = Words(
    title="注意力",
    kinds={"encoder": "编码器自注意力", "decoder": "解码器自注意力", "cross": "解码器 → 编码器"},
    mask="掩码",
    layer=lambda layer, n: f"第 {layer + 1} 层，共 {n} 层",
    head=lambda head, n: f"第 {head + 1} 个头，共 {n} 个",
    mean=lambda n: f"{n} 个头的平均",
    row=lambda row, step, n: f"第 {step + 1} {row}，共 {n} {row}",
    layer_name=lambda layer: f"第 {layer + 1} 层",
    layers=lambda n, heads: f"{n} 层" + (f"，每层 {heads} 个头" if heads else ""),
    head_axis="头",
    along=(
        lambda name, n, first, last: f"小图的行：{name}，“{first}”" + (f"至“{last}”，共 {n} 个。" if n > 1 else "。"),
        lambda name, n, first, last: f"小图的列：{name}，“{first}”" + (f"至“{last}”，共 {n} 个。" if n > 1 else "。"),
    ),
    patches_lie=lambda name, query: f"小图按图块在{name}中的位置排列，对应“{query}”。",
    row_scaled="每个小图按行缩放到各自的最大权重。",
    column_scaled="每个小图按列缩放到各自的最大权重。",
    tile_scaled="每个小图缩放到自己的最大权重。",
    binned=lambda n: f"每格显示至多 {n} 个权重的最大值。",
    heads=lambda n: f"{n} 个头",
    tokens=lambda n: f"{n} 个词元",
    patches=lambda n: f"{n} 个图块",
    so_far="已输出",
    towers={"encoder": "编码器", "decoder": "解码器", "cross": "解码器"},
    attention="注意力",
    attentions={"encoder": "自注意力", "decoder": "自注意力", "cross": "交叉注意力"},
    context_vector="上下文",
    query_with={"": "查询", "before": "用本步之前的状态 s(t−1) 查询", "after": "用本步的状态 s(t) 查询"},
    rows=("个词元", "步"),
    names={"input": "输入", "output": "输出", "read": "已读内容", "key": "被关注", "query": "关注者"},
    strength_step=("强度", "本步"),
    strength_all=("强度", "全部词元"),
    strength_so_far=("强度", "累计"),
    expected=lambda value: f"期望 {value}",
    own="自定义期望",
    verdicts={"weak": "偏弱", "strong": "偏强", "": ""},
    omitted=lambda n: f"去掉了 {n} 个特殊输入：其余权重已重新归一化，与记录的不同",
    dimmed=lambda n: f"{n} 个特殊输入已变淡",
    clearest=lambda token, weight: f"权重最大处最清晰：{token}，{weight}",
    row_top="行最大",
    nothing=lambda row, step, token: f"第 {step + 1} {row}“{token}”：没有可读的权重。",
    nothing_yet="还没有记录任何权重。",
    sentence=lambda row, step, token, percent, key: f"第 {step + 1} {row}“{token}”：{percent} 的注意力在“{key}”上。",
    other=lambda key, percent: f"其次是“{key}”，占 {percent}。",
    masked=lambda row, step, token, weight, key: f"第 {step + 1} {row}“{token}”：掩码在“{key}”处最强，为 {weight}。",
    flags={
        "nan": "个权重是 NaN",
        "infinite": "个权重是无穷大",
        "negative": "个权重为负：这是 softmax 之前的分数吗？",
        "above_one": "个权重大于 1",
        "row_sum": "行之和不是 1",
        "zero_row": "行全为零",
        "column_sum": "个头是列之和为 1，而不是行：矩阵转置了吗？",
        "missing": "步没有权重",
        "reduced": "行只保留了最大的 16 个权重",
        "mask": "行是掩码：每个权重各自在 0 到 1 之间，其和不必为 1",
    },
)
WORDS: dict[str, Words] = {"auto": _EN, "en": _EN, "zh": _ZH}
