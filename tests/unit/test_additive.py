"""The additive network does what the paper's equations say."""

from __future__ import annotations

import pytest
import torch

from attnwidget.models import AdditiveAttention, AdditiveNetwork, Sizes
from attnwidget.models.blind import BlindNetwork

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = Sizes(n_source=7, n_target=6, d_embed=3, d_encoder=4, d_model=11, d_align=9, d_output=10)
LENGTHS = torch.tensor([5, 2])
N_BATCH, N_QUERIES, N_KEYS = 2, 4, 5


@pytest.fixture
def network() -> AdditiveNetwork:
    torch.manual_seed(0)
    return AdditiveNetwork(SIZES, dropout=0.5).eval()


@torch.no_grad()
def decode(network: AdditiveNetwork, source: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    previous = torch.tensor([0, 3, 1, 5]).expand(len(source), N_QUERIES)
    logits, weights = network(source, lengths=lengths, previous=previous)
    return logits, weights


def source_ids() -> torch.Tensor:
    return torch.randint(SIZES.n_source, (N_BATCH, N_KEYS), generator=torch.Generator().manual_seed(1))


def test_attention_equals_the_equations_written_out() -> None:
    torch.manual_seed(0)
    attention = AdditiveAttention(d_query=3, d_key=4, d_align=6)
    query, keys = torch.randn(2, 1, 3), torch.randn(2, 5, 4)
    mask = torch.arange(5) < LENGTHS.unsqueeze(1)
    with torch.no_grad():
        context, weights = attention(query, keys=keys, hidden=attention.key(keys), mask=mask)
        for row, length in enumerate(LENGTHS.tolist()):
            hidden = attention.query.weight @ query[row, 0] + keys[row, :length] @ attention.key.weight.T
            powers = torch.exp(torch.tanh(hidden) @ attention.score.weight[0])
            by_hand = torch.cat([powers / powers.sum(), torch.zeros(5 - length)])
            torch.testing.assert_close(weights[row, 0], by_hand)
            torch.testing.assert_close(context[row, 0], sum(by_hand[key] * keys[row, key] for key in range(length)))


def test_logits_and_weights_have_the_documented_shapes(network: AdditiveNetwork) -> None:
    logits, weights = decode(network, source_ids(), LENGTHS)
    assert logits.shape == (N_BATCH, N_QUERIES, SIZES.n_target)
    assert weights.shape == (N_BATCH, N_QUERIES, N_KEYS)


def test_rows_sum_to_one(network: AdditiveNetwork) -> None:
    _, weights = decode(network, source_ids(), LENGTHS)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(N_BATCH, N_QUERIES))


def test_padding_gets_exactly_zero(network: AdditiveNetwork) -> None:
    _, weights = decode(network, source_ids(), LENGTHS)
    assert (weights[1, :, 2:] == 0).all()
    assert (weights[1, :, :2] > 0).all()


def test_a_row_does_not_depend_on_its_batch(network: AdditiveNetwork) -> None:
    logits, weights = decode(network, source_ids(), LENGTHS)
    alone_logits, alone_weights = decode(network, source_ids()[1:, :2], LENGTHS[1:])
    torch.testing.assert_close(logits[1:], alone_logits)
    torch.testing.assert_close(weights[1:, :, :2], alone_weights)


def test_first_query_is_the_initial_state_and_reads_no_word(network: AdditiveNetwork) -> None:
    with torch.no_grad():
        memory, state = network.encode(source_ids(), lengths=LENGTHS)
        rows = [network.step(torch.full((N_BATCH,), word), state=state, memory=memory)[2] for word in (0, 4)]
    assert torch.equal(rows[0], rows[1])


def test_a_blind_network_computes_weights_and_reads_nothing_through_them() -> None:
    torch.manual_seed(0)
    blind = BlindNetwork(SIZES).eval()
    logits, weights = decode(blind, source_ids(), LENGTHS)
    torch.nn.init.normal_(blind.attention.score.weight)
    other_logits, other_weights = decode(blind, source_ids(), LENGTHS)
    assert torch.equal(logits, other_logits)
    assert not torch.allclose(weights, other_weights)
