"""The real mini weights, where they are in the cache: each folder loads as its library expects and does what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from emollm import weights

pytestmark = pytest.mark.weights


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def folder(name: str) -> Path:
    if not weights.ready(name):
        pytest.skip(f"{name} is not in the cache; fetch it with: emollm weights pull {name}")
    return weights.locate(name)


def test_language_model_answers() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = folder("smollm2-135m-instruct")
    model, loading = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True)
    assert not any(loading.values())
    assert model.dtype == torch.bfloat16
    tokenizer = AutoTokenizer.from_pretrained(path)
    assert tokenizer.tokenize("in 2024") == ["in", "Ġ", "2", "0", "2", "4"]
    text = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(text, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    ids = model.generate(**inputs, max_new_tokens=12, do_sample=False)  # [1, L]
    assert "Paris" in tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :])


def test_whisper_loads_whole_and_generates() -> None:
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    path = folder("whisper-base")
    model, loading = WhisperForConditionalGeneration.from_pretrained(path, output_loading_info=True)
    assert not any(loading.values())
    assert model.proj_out.weight.data_ptr() == model.model.decoder.embed_tokens.weight.data_ptr()
    processor = WhisperProcessor.from_pretrained(path)
    tokenizer = processor.tokenizer
    assert tokenizer("hello").input_ids == [50258, 50363, 675, 1913, 50257]
    assert tokenizer.decode([50364, 675, 1913, 50414], decode_with_timestamps=True) == "<|0.00|>hello<|1.00|>"
    assert (len(tokenizer), len(model.generation_config.lang_to_id)) == (51865, 99)
    features = processor([0.0] * 16_000, sampling_rate=16_000, return_tensors="pt").input_features  # [1, 80, 3000]
    assert model.generate(features, language="en", max_new_tokens=4).shape[0] == 1


def test_faces_and_scene_are_there() -> None:
    from safetensors import safe_open

    assert len(list(folder("mediapipe-face").glob("*.tflite"))) == 5
    with safe_open(folder("efficientnet-lite0") / "model.safetensors", framework="pt") as file:
        assert sum(torch.Size(file.get_slice(key).get_shape()).numel() for key in file.keys()) > 4_600_000  # noqa: SIM118
