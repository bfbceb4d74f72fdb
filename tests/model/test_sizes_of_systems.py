"""Parameters and token budgets of the published systems at full scale, against what their papers and released code hold."""

import pytest
import torch

from emollm import catalog
from emollm.model.sizes import on_paper, sizes
from emollm.recipe import load_recipe


def millions(count):
    return count / 1e6


def test_nano_emox_is_as_large_as_published():
    found = sizes(load_recipe("nano-emox"), "full")
    assert found.tokens == {"frames": 32, "audio": 32, "face": 4, "fused": 1} and sum(found.tokens.values()) == 69
    assert millions(found.projectors["frames"]) == pytest.approx(19.72 + 0.03 + 1.18, abs=0.01)  # query transformer, positions, projection
    assert millions(found.projectors["audio"]) == pytest.approx(19.72 + 0.01 + 1.18, abs=0.01)
    assert millions(found.projectors["face"]) == pytest.approx(1.64, abs=0.01)
    assert millions(found.fusers["fused"]) == pytest.approx(6.57, abs=0.01)
    assert millions(found.projectors["fused"]) == pytest.approx(0.79, abs=0.01)
    assert millions(found.lora) == pytest.approx(18.46, abs=0.01)
    phases = [round(millions(n), 1) for n in found.stages.values()]
    assert list(found.stages) == ["speech", "face", "fusion", "multitask"] and phases == [20.9, 22.6, 50.8, 69.3]


def test_emotion_llama_v2_is_as_large_as_published():
    found = sizes(load_recipe("emotion-llama-v2"), "full")
    assert found.tokens == {"fused": 64, "image": 256, "video": 64, "audio": 64} and sum(found.tokens.values()) == 448
    assert millions(found.lora) == pytest.approx(33.55, abs=0.01)
    assert millions(sum(found.projectors.values())) == pytest.approx(35.14, abs=0.01)
    assert millions(found.fusers["fused"]) == pytest.approx(2.84, abs=0.01)
    assert millions(found.trainable) == pytest.approx(71.54, abs=0.01)
    assert set(found.stages.values()) == {found.trainable}


def test_facetrack_spends_few_tokens_on_the_face():
    tokens = sizes(load_recipe("facetrack-mm"), "full").tokens
    assert tokens["face"] * 4 == tokens["general"]


@pytest.mark.parametrize("name", catalog.names("adapters"))
def test_budgets_are_the_same_at_all_scales(name):
    recipe = load_recipe(name)
    for scale in recipe.scales:
        if scale == "mini" and recipe.scales["mini"].llm.weights:
            continue  # its language model's shape comes with its weights
        model = on_paper(recipe, scale)
        assert all(p.is_meta for p in model.parameters())
        for stream in recipe.streams:
            if stream.projector is not None and stream.projector.kind != "mlp":
                assert model.projectors[stream.name].count(4096) == stream.projector.tokens


@pytest.mark.parametrize("name", [f"{n}+{v}" for n in catalog.names("adapters") for v in load_recipe(n).variants])
def test_every_variant_builds_at_toy_width_and_at_full(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    plain = load_recipe(name.split("+")[0])
    assert recipe.hash != plain.hash
    assert "toy" in recipe.scales
    for scale in [s for s in ("toy", "full") if s in recipe.scales]:  # ours has no full scale
        model = on_paper(recipe, scale)
        assert isinstance(model, torch.nn.Module)
        sizes(recipe, scale)  # every stage still finds what it trains
