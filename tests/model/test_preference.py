"""The loss of pairs against the formula by hand, and that a model learns which of two answers is the better one."""

from __future__ import annotations

import math

import pytest
import torch

from emollm.model.preference import preferred


def test_hand_worked() -> None:
    # Chances of 0.5 and 0.25 a token: odds 1 and 1/3, ratio 3, chance that the better wins 3/4.
    found = preferred(torch.tensor([math.log(2)]), torch.tensor([math.log(4)]))
    assert float(found) == pytest.approx(-math.log(3 / 4))


def test_equal_answers_are_a_coin() -> None:
    same = torch.tensor([0.7, 2.0])
    assert float(preferred(same, same)) == pytest.approx(math.log(2))


def test_certain_answers_stay_finite() -> None:
    loss = torch.tensor([0.0], requires_grad=True)
    found = preferred(loss, torch.tensor([30.0]))
    found.backward()
    assert torch.isfinite(found) and loss.grad is not None and torch.isfinite(loss.grad).all()


def test_gradient_parts_the_two() -> None:
    better, worse = torch.tensor([1.0], requires_grad=True), torch.tensor([1.0], requires_grad=True)
    preferred(better, worse).backward()
    assert better.grad is not None and worse.grad is not None
    assert float(better.grad) > 0 > float(worse.grad)  # a step down the gradient makes the better answer likelier, the worse one less
