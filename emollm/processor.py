"""What the machine at hand does fast, and how it gets its memory back; the one place that asks it."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself; where it does not, float32 is faster and exact."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def fast_eight_bits() -> bool:
    """Whether this processor adds up products of 8-bit numbers itself, without losing any to overflow, and torch knows how."""
    able = any(torch.cpu.get_capabilities().get(name, False) for name in ("avx512_vnni", "avx_vnni"))
    return able and torch.backends.quantized.engine in ("x86", "fbgemm", "onednn")


def fast_math() -> AbstractContextManager[object]:
    """Run small networks in bfloat16 where that is faster. Their answers move by about a hundredth of a logit."""
    return torch.autocast("cpu", torch.bfloat16) if fast_bfloat16() else nullcontext()


def give_back_memory() -> None:
    """Hand freed memory back to the system, where the C library can: pieces that many passes over a long sound leave add up."""
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@cache
def _c_library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):  # not on every system
        return None
