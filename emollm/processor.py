"""What the processor at hand does fast; the one place that asks it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself; where it does not, float32 is faster and exact."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def fast_math() -> AbstractContextManager[object]:
    """Run small networks in bfloat16 where that is faster. Their answers move by about a hundredth of a logit."""
    return torch.autocast("cpu", torch.bfloat16) if fast_bfloat16() else nullcontext()
