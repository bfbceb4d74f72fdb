"""The loss of pairs: of two answers to the same words, the better one's odds are to be above the worse one's, without a second model.

Source: odds ratio preference optimisation (ORPO), arXiv 2403.07691, equations 4 to 7; the share is our choice.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 0.5
"""Weight of pairs beside the loss of what is learned word by word."""
LEAST = 1e-4


def preferred(better: Tensor, worse: Tensor) -> Tensor:
    """Minus the log of the chance that the better answer wins, averaged.

    Args:
        better: [P] mean negative log likelihood of a token of each better answer, in nats.
        worse: [P] of the worse ones.
    """
    return -torch.nn.functional.logsigmoid(_log_odds(better) - _log_odds(worse)).mean()


def _log_odds(loss: Tensor) -> Tensor:
    loss = loss.clamp(min=LEAST)  # an answer that is certain has no odds
    return -loss - torch.log(-torch.expm1(-loss))
