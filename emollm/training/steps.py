"""One optimiser step of our small encoders: AdamW under a one-cycle rate, and a running mean of the weights that is kept in the end."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Say = Callable[[str, float, str], None]  # what is done, share done, detail
AVERAGE = 0.998  # of the running mean of weights


def optimizer_for(
    encoder: nn.Module, rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, dict[str, Tensor]]:
    """Optimiser, schedule over `steps`, and the running mean, which starts as the weights are."""
    plain = [p for p in encoder.parameters() if p.ndim <= 1]
    decayed = [p for p in encoder.parameters() if p.ndim > 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
    return optimizer, schedule, {k: v.clone() for k, v in encoder.state_dict().items()}


def step_once(
    loss: Tensor,
    encoder: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    average: dict[str, Tensor],
    step: int,
) -> None:
    """Back-propagate, clip, step, and move the running mean."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    keep = min(AVERAGE, (step + 1) / (step + 20))
    for name, value in encoder.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - keep)
        else:
            average[name].copy_(value)
