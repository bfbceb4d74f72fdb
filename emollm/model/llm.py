"""The language model from a folder or a config, in full or in 4 or 8 bits, on one device or several.

It knows causal language models of transformers; adapters, features and prompts are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emollm.errors import CheckpointError, RecipeError, unknown_name
from emollm.lazy import need
from emollm.quiet import quiet_transformers

BITS = (4, 8)


@dataclass(frozen=True, slots=True)
class Hold:
    """How a language model is held in memory."""

    dtype: torch.dtype = torch.float32  # of weights that are not quantised
    bits: int | None = None  # 4 or 8 to quantise
    device_map: str | None = None  # as transformers takes it; None leaves a whole model on the processor
    checkpointing: bool = False  # compute layers again in the backward pass
    train: bool = False  # make a quantised model ready for adapters


PLAIN = Hold()


def hold(*, bits: int | None = None, dtype: str = "float32", device_map: str | None = None, checkpointing: bool = False) -> Hold:
    """What a command line says, as a value; a quantised model computes in bfloat16.

    Raises:
        RecipeError: If `dtype` or `bits` is not known.
    """
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype not in known:
        raise RecipeError(unknown_name("dtype", dtype, known))
    if bits is not None and bits not in BITS:
        raise RecipeError(f"a language model can be held in {' or '.join(map(str, BITS))} bits, not in {bits}")
    return Hold(torch.bfloat16 if bits else known[dtype], bits, device_map, checkpointing)


def quantisation(bits: int) -> Any:
    """The transformers setting for 4 bits (NF4, scales quantised again, computed in bfloat16) or 8 bits (LLM.int8).

    Raises:
        RecipeError: If `bits` is another number.
        NeedsExtraError: If bitsandbytes is not installed.
    """
    if bits not in BITS:
        raise RecipeError(f"a language model can be held in {' or '.join(map(str, BITS))} bits, not in {bits}")
    need("bitsandbytes", extra="quant")
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    )


@quiet_transformers()
def load_llm(
    folder: Path | None,
    *,
    config: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    device_map: str | None = None,
    bits: int | None = None,
    checkpointing: bool = False,
    train: bool = False,
) -> Any:
    """A causal language model.

    Args:
        folder: Of the pretrained model; None makes a random one from `config`.
        config: `model_type` ("llama", "qwen2", "qwen3", ...) and what differs from that type's defaults; used without a folder.
        dtype: Of the weights that are not quantised.
        device_map: Where layers go, as transformers takes it ("auto", "cuda:0"); None leaves a whole model on the processor.
        bits: 4 or 8 to quantise while loading.
        checkpointing: Compute layers again in the backward pass instead of keeping their results.
        train: Make a quantised model ready for adapters to be trained on it: norms in float32, the base frozen.

    Returns:
        A transformers causal language model in evaluation mode.

    Raises:
        RecipeError: If the request contradicts itself or names an unknown type of model.
        CheckpointError: If the folder cannot be read or lacks tensors.
        NeedsExtraError: If quantisation needs a package that is not installed.
    """
    model = _random(config, dtype, bits) if folder is None else _pretrained(folder, dtype, device_map, bits)
    if bits is not None and train:
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=checkpointing, gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    elif checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    if checkpointing:
        model.config.use_cache = False
    return model.eval()


def _random(config: Mapping[str, Any] | None, dtype: torch.dtype, bits: int | None) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    if config is None or "model_type" not in config:
        raise RecipeError("a language model needs a folder, or a config with model_type (for example 'llama' or 'qwen2')")
    if bits is not None:
        raise RecipeError(f"a random language model cannot be quantised to {bits} bits; give the folder of a pretrained one")
    shape = dict(config)
    kind = shape.pop("model_type")
    try:
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **shape), dtype=dtype)
    except ValueError as error:
        raise RecipeError(f"no causal language model can be made of model_type {kind!r}: {str(error).splitlines()[0][:300]}") from error


def _pretrained(folder: Path, dtype: torch.dtype, device_map: str | None, bits: int | None) -> Any:
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is no language model: config.json is missing. Fetch the weights or give another folder.")
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "output_loading_info": True}
    if bits is not None:
        options["quantization_config"] = quantisation(bits)
        device_map = device_map or ("cuda:0" if torch.cuda.is_available() else "cpu")
    if device_map is not None:
        options["device_map"] = device_map
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder} cannot be loaded as a causal language model: {str(error).splitlines()[0][:300]}") from error
    model, info = loaded
    missing = sorted(info["missing_keys"])
    if missing:
        raise CheckpointError(f"{folder} lacks {len(missing)} tensors of its language model: {', '.join(missing[:5])}.")
    return model
