"""Loading the language model: random from a config, pretrained from a folder, quantised."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from emollm import weights
from emollm.errors import CheckpointError, RecipeError
from emollm.model.llm import load_llm

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 60,
}


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_random_models_of_several_kinds(kind: str) -> None:
    model = load_llm(None, config={"model_type": kind, **SMALL}, dtype=torch.bfloat16)
    assert model.config.model_type == kind and model.dtype == torch.bfloat16 and not model.training
    assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, 60)


def test_a_folder_comes_back(tmp_path: Path) -> None:
    first = AutoModelForCausalLM.from_config(LlamaConfig(**SMALL)).eval()
    first.save_pretrained(tmp_path)
    ids = torch.tensor([[1, 2, 3]])
    for options in ({}, {"device_map": "cpu"}):
        torch.testing.assert_close(load_llm(tmp_path, **options)(ids).logits, first(ids).logits)  # type: ignore[arg-type]
    assert load_llm(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_checkpointing_keeps_the_gradients(tmp_path: Path) -> None:
    AutoModelForCausalLM.from_config(LlamaConfig(**SMALL)).save_pretrained(tmp_path)
    torch.manual_seed(0)
    rows = torch.randn(1, 4, 32)
    grads = []
    for checkpointing in (False, True):
        model = load_llm(tmp_path, checkpointing=checkpointing)
        assert model.is_gradient_checkpointing == checkpointing
        model.train()
        inputs = rows.clone().requires_grad_()
        model(inputs_embeds=inputs).logits.sum().backward()
        grads.append(inputs.grad)
    torch.testing.assert_close(*grads)


def test_faults_are_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="needs a folder, or a config with model_type"):
        load_llm(None)
    with pytest.raises(RecipeError, match="model_type 'clip_vision_model'"):
        load_llm(None, config={"model_type": "clip_vision_model"})
    with pytest.raises(RecipeError, match="model_type 'nonsense'"):
        load_llm(None, config={"model_type": "nonsense"})
    with pytest.raises(RecipeError, match="random language model cannot be quantised"):
        load_llm(None, config={"model_type": "llama", **SMALL}, bits=4)
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        load_llm(tmp_path)
    AutoModelForCausalLM.from_config(LlamaConfig(**SMALL)).save_pretrained(tmp_path)
    with pytest.raises(RecipeError, match="4 or 8 bits, not in 3"):
        load_llm(tmp_path, bits=3)
    from safetensors.torch import load_file, save_file

    path = tmp_path / "model.safetensors"
    whole = load_file(path)
    save_file({k: v for k, v in whole.items() if "layers.1.self_attn.q" not in k}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 1 tensors .*layers\.1\.self_attn\.q_proj\.weight"):
        load_llm(tmp_path)


# --- quantised

needs_bitsandbytes = pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
PROMPTS = (
    "The woman in the video smiles and says that she is",
    "He lowers his voice, looks away and",
    "Name the emotion: tears, trembling lips. Answer:",
    "The capital of Denmark is",
    "Once upon a time, there was a little",
)
# Against bfloat16, over 45 next tokens of the prompts above, measured on a processor with bitsandbytes 0.50.2: mean KL 0.398 nats and the
# same first choice at 69 % of places for NF4, 0.047 and 87 % for 8 bits. Float32 is 0.002 and 100 % away. The NF4 figure is the cost of
# rounding so small a model, not of the kernel: a bfloat16 model with the unpacked NF4 weights is 0.003 away from it.
LIMITS = {4: (0.6, 0.55), 8: (0.1, 0.75)}


def log_chances(model: Any, tokenizer: Any) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([model(**tokenizer(p, return_tensors="pt")).logits[0].float().log_softmax(-1) for p in PROMPTS])


@needs_bitsandbytes
@pytest.mark.weights
@pytest.mark.skipif(not weights.ready("smollm2-135m-instruct"), reason="the mini weights are not there")
@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_models_stay_near(bits: int) -> None:
    folder = weights.locate("smollm2-135m-instruct")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = load_llm(folder, dtype=torch.bfloat16)
    small = load_llm(folder, dtype=torch.bfloat16, bits=bits)
    assert small.get_memory_footprint() < {4: 0.45, 8: 0.65}[bits] * plain.get_memory_footprint()
    p, q = log_chances(plain, tokenizer), log_chances(small, tokenizer)
    apart = float((p.exp() * (p - q)).sum(-1).mean())
    agree = float((p.argmax(-1) == q.argmax(-1)).float().mean())
    most, least = LIMITS[bits]
    assert 0.001 < apart < most and agree > least, (apart, agree)


@needs_bitsandbytes
@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_bases_carry_trained_adapters(bits: int, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    AutoModelForCausalLM.from_config(LlamaConfig(**(SMALL | {"hidden_size": 64, "intermediate_size": 128}))).save_pretrained(tmp_path)
    base = load_llm(tmp_path, bits=bits, train=True, checkpointing=True)
    assert not any(p.requires_grad for p in base.parameters())
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "v_proj"])).train()
    rows = torch.randn(1, 4, 64, requires_grad=True)
    model(inputs_embeds=rows).logits.float().square().mean().backward()
    grads = [p.grad for n, p in model.named_parameters() if "lora_B" in n]
    assert grads and all(g is not None and g.isfinite().all() and g.abs().sum() > 0 for g in grads)
    assert rows.grad is not None and rows.grad.abs().sum() > 0
