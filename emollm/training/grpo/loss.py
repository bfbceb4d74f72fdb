"""Group advantages and the loss of GRPO, on-policy: one step for each set of answers, so nothing is clipped.

Source: GRPO, arXiv 2402.03300, equations 3 and 4; the k3 estimator of the divergence and its clamp as in the code of arXiv 2503.09158.
"""

from __future__ import annotations

import torch
from torch import Tensor

DIVERGENCE = 0.04
FARTHEST = 10.0


def advantages(rewards: Tensor, factors: Tensor) -> Tensor:
    """Rewards [B, G] to advantages [B, G]: centred and scaled within each group, times the group's factor [B]."""
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred / (rewards.std(1, keepdim=True) + 1e-4) * factors[:, None]


def grpo_loss(current: Tensor, reference: Tensor | None, advantage: Tensor, mask: Tensor, *, divergence: float = DIVERGENCE) -> Tensor:
    """The loss of answers.

    Args:
        current: [N, T] log probabilities of their tokens, with gradient.
        reference: [N, T] of the same tokens by the model before; None leaves the divergence out.
        advantage: [N].
        mask: [N, T] 1 for tokens of the answer.
        divergence: Weight of keeping near the reference.

    Returns:
        Mean over all tokens.
    """
    gain = advantage[:, None] * torch.exp(current - current.detach())
    if reference is not None and divergence:
        apart = (reference - current).clamp(-FARTHEST, FARTHEST)
        gain = gain - divergence * (torch.exp(apart) - apart - 1)
    return -(gain * mask).sum() / mask.sum().clamp(min=1)
