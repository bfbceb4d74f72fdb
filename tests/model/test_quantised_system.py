"""A whole system over a language model in 4 and in 8 bits: it answers, and its adapters learn."""

import pytest
import torch

pytest.importorskip("bitsandbytes")

from emollm import weights
from emollm.build import build
from emollm.data.collate import pad_features, pad_prompts
from emollm.data.conversation import ClipView, Turn
from emollm.errors import RecipeError
from emollm.model.groups import train_only
from emollm.model.llm import hold

pytestmark = pytest.mark.skipif(not weights.ready("smollm2-135m-instruct"), reason="needs `emollm weights pull mini`")


@pytest.mark.parametrize("bits", [4, 8])
def test_adapters_learn_over_a_quantised_model(bits):
    from dataclasses import replace

    parts = build("emollm", "mini", fresh=True, perception=object(), hold=replace(hold(bits=bits), train=True))
    model = parts.model.train()
    assert model.causal.is_quantized
    train_only(model, ("llm.*lora*", "projectors.*"))
    features = {"face": torch.randn(1, 256)}
    encoded = parts.prompts.build(
        [Turn("user", "Which emotion?", clip=ClipView("image", 0.0, {"face": 1})), Turn("assistant", "happy", learn=True)], answer=False
    )
    batch = pad_prompts([encoded], parts.prompts.end_id)
    inputs = pad_features([features], model.streams, parts.recipe.widths("mini"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(4):
        loss = model(**batch, features=inputs).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    model.merge()  # stays apart: folding it in would round it away
    assert any("lora_" in n for n, _ in model.named_parameters())


def test_unknown_holdings_are_refused():
    with pytest.raises(RecipeError, match="4 or 8 bits, not in 3"):
        hold(bits=3)
    with pytest.raises(RecipeError, match="unknown dtype 'float17'"):
        hold(dtype="float17")
