"""Drawing tokens: the right chances, the right candidates, and the same noise everywhere."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from msgspec.structs import replace
from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from chat.engine.base import Sampling
from chat.engine.noise import gumbel, key_of
from chat.engine.nucleus import largest, threshold_of_nucleus
from chat.engine.sampling import Sampler

WORDS = 5000
PLAIN = Sampling(1.0, 0, 1.0, 1.0, max_new_tokens=9, seed=0)


def draw(scores: torch.Tensor, sampling: Sampling, position: int, seen: list[int]) -> list[int]:
    """The tokens of all rows of `scores` at one position, seeds counting up from the given one."""
    sampler = Sampler(torch.device("cpu"))
    states = []
    for row in range(len(scores)):
        each = replace(sampling, seed=sampling.seed + row)
        sampler.add(str(row), each, seen, scores.shape[1])
        states.append(
            SimpleNamespace(
                state=SimpleNamespace(
                    request_id=str(row), initial_tokens=[0] * position, generated_tokens=[]
                )
            )
        )
    sampler.prepare_tensor_args(states)  # type: ignore[arg-type]
    return sampler(scores.clone(), torch.empty(0)).argmax(-1).tolist()


@pytest.mark.parametrize(
    "way",
    [
        {},
        {"top_k": 7},
        {"top_k": 2000},
        {"top_p": 0.6},
        {"top_p": 0.6, "top_k": 2000},
        {"top_k": 7, "top_p": 0.6},
        {"temperature": 0.5, "top_p": 0.9},
        {"temperature": 2.0, "repetition_penalty": 1.5},
    ],
)
def test_draws_come_as_often_as_they_should(way: dict[str, float]) -> None:
    """Against transformers' own processors, by a chi-square test with 4,000 draws."""
    torch.manual_seed(3)
    scores = torch.randn(1, WORDS) * 3
    scores[0, :12] += 8
    sampling = replace(PLAIN, **way)
    seen = list(range(0, 12, 2))
    expected = chances(scores, sampling, seen)
    drawn = torch.zeros(WORDS)
    for position in range(4):
        for token in draw(scores.expand(1000, -1), sampling, position, seen):
            drawn[token] += 1
    assert drawn[expected == 0].sum() == 0
    often = expected > 0.002
    wanted = torch.cat([expected[often], expected[~often].sum().view(1)]) * 4000
    found = torch.cat([drawn[often], drawn[~often].sum().view(1)])
    some = wanted > 0
    square = ((found[some] - wanted[some]) ** 2 / wanted[some]).sum()
    freedom = int(some.sum()) - 1
    assert square < freedom + 5 * (2 * freedom) ** 0.5 + 5


def chances(scores: torch.Tensor, sampling: Sampling, seen: list[int]) -> torch.Tensor:
    ids = torch.tensor([seen])
    if sampling.repetition_penalty != 1.0:
        scores = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)(ids, scores)
    scores = scores / sampling.temperature
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(ids, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(ids, scores)
    return scores.softmax(-1)[0]


def test_the_same_seed_and_position_draw_the_same_in_any_company() -> None:
    torch.manual_seed(4)
    scores = torch.randn(16, WORDS)
    for way in ({"top_k": 40}, {"top_p": 0.5}, {}):
        sampling = replace(PLAIN, **way)
        together = draw(scores, sampling, 7, [])
        alone = [
            draw(scores[row : row + 1], replace(sampling, seed=row), 7, [])[0] for row in range(16)
        ]
        assert together == alone
        assert draw(scores, sampling, 8, []) != together


def test_the_noise_never_changes() -> None:
    """Replies under way go on after an update of the software: these figures are stored ones."""
    assert key_of(1, 2) == (-1770846613, -1126573132)
    noise = gumbel(torch.tensor([[0, 1, 16383]]), torch.tensor([key_of(1, 2)], dtype=torch.int32))
    assert noise[0].tolist() == pytest.approx([0.2153112, 1.6101465, -0.514092], abs=1e-5)


def test_noise_is_gumbel_noise() -> None:
    keys = torch.tensor([key_of(5, at) for at in range(200)], dtype=torch.int32)
    noise = gumbel(torch.arange(2000).unsqueeze(0), keys)
    assert bool(noise.isfinite().all())
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.01)
    assert float(noise.var()) == pytest.approx(1.6449, abs=0.02)
    assert float(torch.corrcoef(noise[:2])[0, 1]) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("words", [100, 4096, 5003, 16384])
@pytest.mark.parametrize("count", [1, 20, 90])
def test_the_largest_scores_are_found_without_sorting_all(words: int, count: int) -> None:
    scores = torch.randn(9, words)
    values, ids = largest(scores, count)
    expected = torch.topk(scores, count)
    assert torch.equal(values, expected.values)
    assert torch.equal(ids, expected.indices)


def test_a_nucleus_is_found_without_sorting() -> None:
    some = torch.softmax(torch.randn(20, 3000) * 2, -1)
    top_p = torch.linspace(0.05, 0.99, 20).unsqueeze(1)
    least = threshold_of_nucleus(some, top_p)
    falling = some.sort(descending=True).values
    wanted = (falling.cumsum(-1) - falling < top_p).sum(-1)
    assert torch.all(((some >= least).sum(-1) - wanted).abs() <= 1)
