"""Which core a model runs on here, and why."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emollm.engine.alone_core import torch_core
from emollm.engine.core import Core
from emollm.engine.settings import EngineSettings
from emollm.errors import BackendError

WORTHWHILE = 20_000_000  # parameters; smaller models are fast enough anywhere


@dataclass(frozen=True, slots=True)
class Chosen:
    """A core and what is told of it."""

    core: Core
    reason: str  # why it is not the fast one; empty if it is, or if it was asked for

    def __str__(self) -> str:
        told = f"{self.core.name}, {self.core.precision} weights"
        return f"{told} ({self.reason})" if self.reason else told


def choose(causal: Any, settings: EngineSettings, folder: Path | None = None) -> Chosen:
    """A core for a merged language model.

    Args:
        causal: Of transformers.
        settings: What was asked for.
        folder: Where exports are kept; the user's cache folder if None.

    Raises:
        BackendError: If openvino was asked for by name and cannot run this model here.
    """
    if settings.core == "torch":
        return Chosen(torch_core(causal, _dtype(causal, settings.precision)), "")
    reason = _against(causal, settings)
    if not reason:
        try:
            return Chosen(_openvino(causal, settings, folder), "")
        except (
            ValueError,
            ImportError,
            OSError,
            RuntimeError,
            AttributeError,
            KeyError,
        ) as error:  # all that exporting and compiling raise
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    if settings.core == "openvino":
        raise BackendError(f"the engine openvino cannot run this model: {reason}. Use --engine auto or torch.", code="backend_failed")
    precision = settings.precision if settings.precision not in ("int8", "float16") else "auto"
    return Chosen(torch_core(causal, _dtype(causal, precision)), f"openvino is not used: {reason}")


def openvino_version() -> str | None:
    """Version of the openvino that is installed; None without one."""
    try:
        return importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        return None


def told() -> str:
    """What "auto" takes on this machine for a small Llama, in one line."""
    version = openvino_version()
    if version is not None:
        return f"openvino {version} with float16 weights for Llamas on the processor (--engine fast: int8), torch for all else"
    fast = _fast_at_bfloat16() and not torch.cuda.is_available()
    return f"torch{' with bfloat16 weights' if fast else ''}; pip install openvino makes replies faster"


def _openvino(causal: Any, settings: EngineSettings, folder: Path | None) -> Core:
    from emollm.engine.openvino_core import OpenvinoCore

    precision = "float16" if settings.precision == "auto" else settings.precision
    threads = settings.threads or torch.get_num_threads()
    return OpenvinoCore(causal, precision=precision, threads=threads, memory_mb=settings.memory_mb, folder=folder)


def _against(causal: Any, settings: EngineSettings) -> str:
    """What speaks against openvino, in words; empty if nothing does."""
    if importlib.util.find_spec("openvino") is None:
        return "it is not installed (pip install openvino)"
    if any(p.device.type != "cpu" for p in causal.parameters()):
        return "the model is not on the processor"
    if settings.core == "auto" and sum(p.numel() for p in causal.parameters()) < WORTHWHILE:
        return "the model is too small for it to pay"
    return ""


def _dtype(causal: Any, precision: str) -> torch.dtype | None:
    """Of torch's weights; None leaves them as they are held."""
    if precision in ("int8", "float16"):
        raise BackendError(f"the engine torch has no {precision} weights; use --engine openvino, or --bits 8.", code="invalid_request")
    if precision == "bfloat16":
        return torch.bfloat16
    large = sum(p.numel() for p in causal.parameters()) >= WORTHWHILE
    held = next(causal.parameters())
    if precision == "auto" and large and held.device.type == "cpu" and held.dtype == torch.float32 and _fast_at_bfloat16():
        return torch.bfloat16
    return None


def _fast_at_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware."""
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
