"""The Transformer does what the paper's equations say, sees only what its masks allow, and is recorded whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget import models
from attnwidget.models.multi_head import MultiHeadAttention
from attnwidget.models.training.courses import COURSES
from attnwidget.models.transformer import TransformerNetwork, TransformerSizes, sinusoids

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = TransformerSizes(n_source=7, n_target=6, d_model=12, d_hidden=10, n_heads=3, n_layers=2)
LENGTHS = torch.tensor([5, 2])
N_QUERIES, N_KEYS = 4, 5


@pytest.fixture
def network() -> TransformerNetwork:
    torch.manual_seed(0)
    return TransformerNetwork(SIZES, dropout=0.5).eval()


@torch.no_grad()
def decode(network: TransformerNetwork, source: torch.Tensor, lengths: torch.Tensor, words: list[int]) -> torch.Tensor:
    return network(source, lengths=lengths, previous=torch.tensor([words]).expand(len(source), -1))


def source_ids() -> torch.Tensor:
    return torch.randint(7, (2, N_KEYS), generator=torch.Generator().manual_seed(1))


def test_attention_equals_the_equations_written_out() -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(12, 3)
    queries, keys = torch.randn(2, N_QUERIES, 12), torch.randn(2, N_KEYS, 12)
    seen = (torch.arange(N_KEYS) < LENGTHS.unsqueeze(1)).unsqueeze(1)
    with torch.no_grad():
        read, weights = attention(queries, keys, seen=seen)
    wq, wk, wv, wo = (getattr(attention, name).weight.detach().numpy() for name in ("query", "key", "value", "output"))
    for row, length in enumerate(LENGTHS.tolist()):
        heads = []
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            q, k, v = queries[row].numpy() @ wq[part].T, keys[row].numpy() @ wk[part].T, keys[row].numpy() @ wv[part].T
            powers = np.exp(q @ k[:length].T / np.sqrt(4))
            by_hand = powers / powers.sum(1, keepdims=True)
            np.testing.assert_allclose(weights[row, head, :, :length], by_hand, atol=1e-5)
            assert (weights[row, head, :, length:] == 0).all()
            heads.append(by_hand @ v[:length])
        np.testing.assert_allclose(read[row], np.concatenate(heads, axis=1) @ wo.T, atol=1e-5)


def test_sinusoids_are_those_of_the_paper() -> None:
    vectors = sinusoids(6, d_model=4)
    assert vectors.shape == (6, 4)
    assert vectors[5, 2] == pytest.approx(np.sin(5 / 10_000 ** (2 / 4)), abs=1e-6)
    assert vectors[5, 3] == pytest.approx(np.cos(5 / 10_000 ** (2 / 4)), abs=1e-6)


def test_no_word_sees_a_later_one(network: TransformerNetwork) -> None:
    logits, weights = decode(network, source_ids(), LENGTHS, [0, 3, 1, 5])
    other_logits, other_weights = decode(network, source_ids(), LENGTHS, [0, 3, 2, 4])
    torch.testing.assert_close(logits[:, :2], other_logits[:, :2])
    torch.testing.assert_close(weights[:, :2], other_weights[:, :2])
    assert not torch.allclose(logits[:, 2:], other_logits[:, 2:])


def test_a_row_does_not_depend_on_its_batch(network: TransformerNetwork) -> None:
    logits, weights = decode(network, source_ids(), LENGTHS, [0, 3, 1, 5])
    alone_logits, alone_weights = decode(network, source_ids()[1:, :2], LENGTHS[1:], [0, 3, 1, 5])
    torch.testing.assert_close(logits[1:], alone_logits)
    torch.testing.assert_close(weights[1:, :, :2], alone_weights)
    assert (weights[1, :, 2:] == 0).all()


def test_steps_give_what_teacher_forcing_gives(network: TransformerNetwork) -> None:
    logits, weights = decode(network, source_ids(), LENGTHS, [0, 3, 1, 5])
    with torch.no_grad():
        memory, state = network.encode(source_ids(), lengths=LENGTHS)
        for query, word in enumerate([0, 3, 1, 5]):
            step = network.step(torch.tensor([word, word]), state=state, memory=memory)
            state = step[1]
            torch.testing.assert_close(step[0], logits[:, query])
            torch.testing.assert_close(step[2], weights[:, query])


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="d_model is 10 and n_heads is 4: expected a multiple of n_heads"):
        MultiHeadAttention(10, 4)
    with pytest.raises(ValueError, match="d_model is 5: expected an even number"):
        sinusoids(3, d_model=5)


@pytest.fixture(scope="module")
def shipped() -> models.System:
    return models.pretrained("transformer")


def test_shipped_transformer_is_right_and_aligned_on_unseen_inputs(shipped: models.System) -> None:
    quality = models.measure(shipped, COURSES["transformer"].unseen(21, 60))
    assert quality.exact_match >= 0.95
    assert quality.alignment is not None
    assert quality.alignment >= 0.95


def test_all_three_kinds_of_attention_are_recorded(shipped: models.System) -> None:
    inputs = shipped.encode("4877")
    steps = list(shipped.steps(inputs))
    with aw.record(shipped, source=inputs.tokens) as trace:
        shipped.run(inputs, on_token=aw.step)
    sites = {site.name: site for site in trace.sites}
    kinds = [site.kind for site in trace.sites]
    assert (kinds.count("encoder"), kinds.count("decoder"), kinds.count("cross")) == (1, 1, 1)
    assert {site.n_heads for site in trace.sites} == {4}
    last = trace.weights(sites["network.decoder.0.cross_attention"]).mean(0)
    computed = np.stack([step.weights.numpy() for step in steps])
    np.testing.assert_allclose(last, computed, atol=1e-6)
    causal = trace.weights(sites["network.decoder.0.self_attention"])
    assert causal.shape == (4, len(steps), len(steps))
    assert (causal == np.tril(causal)).all()
    np.testing.assert_allclose(causal.sum(2), 1, atol=1e-5)
    assert trace.weights(sites["network.encoder.0.self_attention"]).shape == (4, len(inputs.tokens), len(inputs.tokens))
    assert trace.flags == ()
