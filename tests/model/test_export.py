"""The exported language model is ours with its LoRA, as others load it."""

import json

import pytest
import torch
from paths import HAVE_WEIGHTS
from transformers import AutoModelForCausalLM, AutoTokenizer

from emollm.build import build
from emollm.errors import CheckpointError
from emollm.model.export import NOTE, export_language_model

TEXT = "How do people show that they are glad?"


def with_lora(parts):
    """Adapters that do something, as trained ones do: untrained LoRA adds nothing."""
    torch.manual_seed(5)
    for name, weight in parts.model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.2)
    return parts


def same_logits(parts, folder, tolerance):
    """Compares logits [L, V] of embeddings under LoRA that is still apart with those of the export."""
    ids = torch.tensor([parts.tokenizer(TEXT)["input_ids"]])
    with torch.inference_mode():
        embeds = parts.model.get_input_embeddings()(ids)
        apart = parts.model.llm(inputs_embeds=embeds).logits
        base = None
        if hasattr(parts.model.llm, "disable_adapter"):
            with parts.model.llm.disable_adapter():
                base = parts.model.llm(inputs_embeds=embeds).logits
    note = {"system": "emollm", "version": parts.version}
    export_language_model(parts.model, parts.tokenizer, parts.prompts.end_id, folder, note)
    there = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        found = there(inputs_embeds=embeds).logits
        by_ids = there(input_ids=ids).logits
    assert base is not None and not torch.allclose(base, found, atol=100 * tolerance)  # the LoRA is in it
    torch.testing.assert_close(found, apart, atol=tolerance, rtol=0)
    torch.testing.assert_close(by_ids, found, atol=tolerance, rtol=0)
    assert there.generation_config.eos_token_id == there.config.eos_token_id == parts.prompts.end_id
    assert AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"] == ids[0].tolist()
    assert json.loads((folder / NOTE).read_text("utf-8")) == note
    return there


@pytest.fixture
def toy():
    return with_lora(build("emollm", "toy", perception=object()))


def test_the_export_is_the_model_with_its_adapters(toy, tmp_path):
    there = same_logits(toy, tmp_path / "out", 1e-4)
    assert there.dtype == torch.float32


def test_it_can_be_written_over_but_nothing_else_is(toy, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        export_language_model(toy.model, toy.tokenizer, toy.prompts.end_id, out, {"version": "1"}, torch.bfloat16)
    assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.bfloat16
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("keep me")
    for folder in (other, other / "letter.txt"):
        with pytest.raises(CheckpointError, match="not empty"):
            export_language_model(toy.model, toy.tokenizer, toy.prompts.end_id, folder, {})
    assert [p.name for p in other.iterdir()] == ["letter.txt"]


def test_the_model_goes_on_as_it_was(toy, tmp_path):
    before = (toy.model.causal.config.dtype, toy.model.causal.config.eos_token_id, toy.model.causal.dtype)
    export_language_model(toy.model, toy.tokenizer, toy.prompts.end_id, tmp_path / "out", {}, torch.float16)
    assert (toy.model.causal.config.dtype, toy.model.causal.config.eos_token_id, toy.model.causal.dtype) == before


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(not HAVE_WEIGHTS, reason="needs `emollm weights pull mini`")
def test_the_real_export_is_the_real_model(tmp_path):
    same_logits(build("emollm", "mini", perception=object()), tmp_path / "out", 2e-3)
