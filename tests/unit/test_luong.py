"""Luong's network does what the paper's equations say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnwidget import models
from attnwidget.models.luong import LuongAttention, LuongNetwork, LuongSizes
from attnwidget.models.training.courses import COURSES

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = {"n_source": 7, "n_target": 6, "d_embed": 3, "d_model": 8}
LENGTHS = [5, 2, 1]
N_QUERIES, N_KEYS = 4, 5
VARIANTS = {
    "dot": {"score": "dot"},
    "general": {"score": "general"},
    "concat": {"score": "concat"},
    "local-m": {"window": "local-m", "d_window": 1},
    "local-p": {"window": "local-p", "d_window": 2},
    "feeding": {"feeding": True},
}
NAMES = sorted(f"luong-{name}" for name in VARIANTS)


def network(variant: str) -> LuongNetwork:
    torch.manual_seed(0)
    made = LuongNetwork(LuongSizes(**SIZES, **VARIANTS[variant])).eval()  # type: ignore[arg-type]
    for parameter in made.attention.parameters():
        torch.nn.init.normal_(parameter)
    return made


def numbers(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: parameter.detach().numpy().astype(np.float64) for name, parameter in module.named_parameters()}


def by_hand(attention: LuongAttention, query: np.ndarray, keys: np.ndarray, *, step: int) -> np.ndarray:
    """Return the weights of one query over the keys of one sentence, from equations 7 to 10, one key at a time."""
    n_keys, sizes = len(keys), numbers(attention)
    scores = []
    for key in keys:
        if "score.hidden.weight" in sizes:
            scores.append(sizes["score.score.weight"][0] @ np.tanh(sizes["score.hidden.weight"] @ [*query, *key]))
        elif "score.key.weight" in sizes:
            scores.append(query @ (sizes["score.key.weight"] @ key))
        else:
            scores.append(query @ key)
    centre, d_window, gaussian = 0.0, float(n_keys), np.ones(n_keys)
    if "window.hidden.weight" in sizes:
        inner = sizes["window.position.weight"][0] @ np.tanh(sizes["window.hidden.weight"] @ query)
        centre, d_window = n_keys / (1 + np.exp(-inner)), attention.window.d_window
        gaussian = np.array([np.exp(-((s - centre) ** 2) / (2 * (d_window / 2) ** 2)) for s in range(n_keys)])
    elif hasattr(attention.window, "d_window"):
        centre, d_window = min(step, n_keys - 1), attention.window.d_window
    inside = [centre - d_window <= s <= centre + d_window for s in range(n_keys)]
    powers = np.array([np.exp(score) if seen else 0.0 for score, seen in zip(scores, inside, strict=True)])
    return powers / powers.sum() * gaussian


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("step", [0, 3])
def test_attention_equals_the_equations_written_out(variant: str, step: int) -> None:
    attention = network(variant).attention
    queries, keys = torch.randn(3, N_QUERIES, 8), torch.randn(3, N_KEYS, 8)
    mask = torch.arange(N_KEYS) < torch.tensor(LENGTHS).unsqueeze(1)
    with torch.no_grad():
        context, weights = attention(queries, keys=keys, mask=mask, step=step)
    for row, length in enumerate(LENGTHS):
        for query in range(N_QUERIES):
            values = keys[row, :length].double().numpy()
            expected = by_hand(attention, queries[row, query].double().numpy(), values, step=step + query)
            np.testing.assert_allclose(weights[row, query, :length], expected, atol=1e-5)
            np.testing.assert_allclose(context[row, query], expected @ values, atol=1e-4)
            assert (weights[row, query, length:] == 0).all()
            assert (weights[row, query, :length].numpy()[expected == 0] == 0).all()


def test_monotonic_weights_are_exactly_zero_outside_their_window() -> None:
    weights = decode("local-m")[1][0]
    outside = [[abs(key - min(query, 4)) > 1 for key in range(N_KEYS)] for query in range(N_QUERIES)]
    assert (weights[torch.tensor(outside)] == 0).all()
    assert (weights[~torch.tensor(outside)] > 0).all()


def test_rows_of_local_p_sum_to_less_than_one_and_others_to_one() -> None:
    assert (decode("local-p")[1].sum(dim=2) < 1).all()
    for variant in ("dot", "general", "concat", "local-m", "feeding"):
        torch.testing.assert_close(decode(variant)[1].sum(dim=2), torch.ones(3, N_QUERIES))


@torch.no_grad()
def decode(variant: str, *, rows: slice = slice(None), n_keys: int = N_KEYS) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.randint(7, (3, N_KEYS), generator=torch.Generator().manual_seed(1))
    previous = torch.tensor([0, 3, 1, 5]).expand(3, N_QUERIES)
    logits, weights = network(variant)(
        source[rows, :n_keys], lengths=torch.tensor(LENGTHS)[rows], previous=previous[rows]
    )
    return logits, weights


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_row_does_not_depend_on_its_batch(variant: str) -> None:
    logits, weights = decode(variant)
    alone_logits, alone_weights = decode(variant, rows=slice(1, 2), n_keys=2)
    torch.testing.assert_close(logits[1:2], alone_logits)
    torch.testing.assert_close(weights[1:2, :, :2], alone_weights)


def test_the_query_is_the_state_after_the_word_was_read() -> None:
    made = network("general")
    with torch.no_grad():
        memory, state = made.encode(torch.tensor([[1, 2, 3]]), lengths=torch.tensor([3]))
        first, second = (made.step(torch.tensor([word]), state=state, memory=memory) for word in (0, 4))
        again = made.attention(first[1].hidden.unsqueeze(1), keys=memory.keys, mask=memory.mask, step=0)[1]
    assert not torch.equal(first[2], second[2])
    torch.testing.assert_close(again[:, 0], first[2])


def test_a_step_is_equations_5_and_6() -> None:
    made = network("feeding")
    with torch.no_grad():
        memory, state = made.encode(torch.tensor([[1, 2, 3]]), lengths=torch.tensor([3]))
        _, state, _ = made.step(torch.tensor([0]), state=state, memory=memory)
        logits, after, weights = made.step(torch.tensor([2]), state=state, memory=memory)
        read = torch.cat([made.target_embedding.weight[2], state.attentional[0]])
        hidden = made.decoder(read[None], state.hidden)[0]
        both = torch.cat([weights[0] @ memory.keys[0], hidden])
        attentional = torch.tanh(made.combine.weight @ both)
    torch.testing.assert_close(after.attentional[0], attentional)
    torch.testing.assert_close(logits[0], made.output.weight @ attentional + made.output.bias)


@pytest.mark.parametrize("feeding", [True, False])
def test_only_feeding_reads_what_was_attended_to_before(feeding: bool) -> None:
    made = network("feeding" if feeding else "general")
    with torch.no_grad():
        memory, state = made.encode(torch.tensor([[1, 2, 3]]), lengths=torch.tensor([3]))
        other = state._replace(attentional=torch.ones_like(state.attentional))
        one, two = (made.step(torch.tensor([2]), state=it, memory=memory)[0] for it in (state, other))
    assert torch.equal(one, two) is not feeding


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(ValueError, match="window is 'near': expected 'global', 'local-m' or 'local-p'"):
        LuongAttention(LuongSizes(**SIZES, window="near"))


def test_an_unknown_score_and_a_window_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="score is 'cosine': expected 'dot', 'general', 'concat'"):
        LuongAttention(LuongSizes(**SIZES, score="cosine"))
    with pytest.raises(ValueError, match="d_window is 0: expected 1 or more"):
        LuongAttention(LuongSizes(**SIZES, window="local-p", d_window=0))


@pytest.mark.parametrize("name", NAMES)
def test_shipped_variant_is_right_and_aligned_on_unseen_inputs(name: str) -> None:
    quality = models.measure(models.pretrained(name), COURSES[name].unseen(21, 60))
    assert quality.exact_match >= 0.95
    assert quality.alignment is not None
    assert quality.alignment >= 0.95


def test_attention_emerges_over_the_checkpoints() -> None:
    examples = COURSES["luong-general"].unseen(21, 60)
    states = [models.pretrained("luong-general", checkpoint=checkpoint) for checkpoint in ("early", "middle", None)]
    early, middle, final = (models.measure(state, examples) for state in states)
    assert early.exact_match < 0.3 < middle.exact_match < 0.9 < final.exact_match
    assert (early.alignment or 0) < (middle.alignment or 0) < (final.alignment or 0)


def test_unknown_checkpoint_error_lists_those_that_are_there() -> None:
    with pytest.raises(ValueError, match="no checkpoint 'late': expected early or middle"):
        models.pretrained("luong-general", checkpoint="late")
    with pytest.raises(ValueError, match="no checkpoint 'early': expected none of this model"):
        models.pretrained("reverse", checkpoint="early")
