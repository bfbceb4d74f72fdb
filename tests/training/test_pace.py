import pytest

from emollm.build import build
from emollm.training.pace import training_figures


def test_both_loops_are_timed_and_learn():
    parts = build("emollm", "toy", fresh=True, perception=object())
    before = {k: v.clone() for k, v in parts.model.named_parameters() if "lora_B" in k}
    found = training_figures(parts.model, parts.prompts, steps=2)
    assert found["training_tokens_per_s"] > 0 and found["plain_loop_tokens_per_s"] > 0
    ratio = found["training_tokens_per_s"] / found["plain_loop_tokens_per_s"]
    assert found["training_against_plain_loop"] == pytest.approx(ratio)
    after = dict(parts.model.named_parameters())
    assert all((after[k] != v).any() for k, v in before.items())
