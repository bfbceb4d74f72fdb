"""Which parameters learn: freeze by pattern, where a pattern that matches nothing is a fault."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from torch import nn

from emollm.errors import RecipeError


def train_only(model: nn.Module, patterns: Sequence[str]) -> dict[str, int]:
    """Let parameters that match any pattern learn and freeze all others.

    Returns:
        Pattern -> number of values it lets learn.

    Raises:
        RecipeError: Naming every pattern that matches no parameter.
    """
    counts = dict.fromkeys(patterns, 0)
    for name, parameter in model.named_parameters():
        hits = [p for p in patterns if fnmatch(name, p)]
        parameter.requires_grad_(bool(hits))
        for pattern in hits[:1]:
            counts[pattern] += parameter.numel()
    idle = [p for p, n in counts.items() if n == 0 and not any(fnmatch(name, p) for name, _ in model.named_parameters())]
    if idle:
        tops = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
        raise RecipeError(f"these patterns match no parameter: {', '.join(idle)}. Parameters begin with: {', '.join(tops)}.")
    return counts
