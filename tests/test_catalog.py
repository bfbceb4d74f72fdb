"""Every shipped TOML is read; every recipe is built at toy width and runs forward on a synthetic clip."""

import pytest
import torch
from paths import SAMPLES

from emollm import catalog
from emollm.build import build
from emollm.chat.local import LocalBackend
from emollm.data.collate import pad_features, pad_prompts
from emollm.data.conversation import ClipView, Turn
from emollm.errors import RecipeError
from emollm.evaluation.cards import Card, load_card
from emollm.recipe import load_recipe, parse_recipe
from emollm.values import Message, Sampling

RECIPES = sorted(catalog.folder("adapters").rglob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_builds_and_learns(path):
    parts = build(str(path), "toy")
    widths = parts.recipe.widths("toy")
    seen = {s.name: torch.randn(2, widths[s.name]) for s in parts.recipe.streams if not s.fuse}
    view = ClipView("video", 3.0, dict.fromkeys(seen, 2))
    encoded = parts.prompts.build([Turn("user", "How?", clip=view), Turn("assistant", "happy", learn=True)], answer=False)
    batch = pad_prompts([encoded], parts.prompts.end_id)
    loss = parts.model(**batch, features=pad_features([seen], parts.model.streams, widths)).loss
    loss.backward()
    assert torch.isfinite(loss)
    for kind, learning in (("projector", parts.model.projectors), ("fuser", parts.model.fusers)):
        for name, part in learning.items():
            gradients = [p.grad for p in part.parameters() if p.grad is not None]
            assert gradients and any(g.abs().sum() > 0 for g in gradients), f"{kind} of stream {name} does not learn"


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_chats_at_toy_scale(path):
    backend = LocalBackend(build(str(path), "toy"))
    message = Message("user", "How do they feel?", (SAMPLES / "sample_joy.mp4",))
    reply = backend.reply([message], Sampling(max_new_tokens=5))
    assert isinstance(reply.text(), str) and reply.usage.completion_tokens <= 5
    assert sum(backend.score([message], ["happy", "sad"]).values()) == pytest.approx(1)


@pytest.mark.parametrize("name", catalog.names("eval"))
def test_every_card_is_read(name):
    card = load_card(name)
    if isinstance(card, Card):
        assert len(set(card.labels)) == len(card.labels) >= 2


def test_unknown_names_list_the_known():
    with pytest.raises(RecipeError, match=r"unknown adapters 'emolm'; known: .*emollm.*Did you mean 'emollm'"):
        load_recipe("emolm")
    with pytest.raises(RecipeError, match="unknown scale 'huge'"):
        load_recipe("emollm").at("huge")


def test_all_faults_of_a_recipe_come_at_once(tmp_path):
    text = (catalog.folder("adapters") / "emollm.toml").read_text("utf-8")
    broken = text.replace('fuse = ["face", "voice"]', 'fuse = ["face", "vioce"]').replace(
        'encoders = { face = "ours", units = "ours", voice = "ours",', "encoders = {", 1
    )
    path = tmp_path / "broken.toml"
    path.write_text(broken, "utf-8")
    with pytest.raises(RecipeError) as caught:
        parse_recipe(path)
    for fault in ("'vioce'", "'mini' names no encoder for stream 'face'", "'mini' names no encoder for stream 'voice'"):
        assert fault in str(caught.value)
    path.write_text("name = ", "utf-8")
    with pytest.raises(RecipeError, match="not valid TOML"):
        parse_recipe(path)


def test_freeze_patterns_of_stages_match_something():
    from emollm.model.groups import train_only

    for path in RECIPES:
        parts = build(str(path), "toy")
        for stage in parts.recipe.stages:
            assert sum(train_only(parts.model, stage.train).values()) > 0
        with pytest.raises(RecipeError, match="match no parameter: nothing"):
            train_only(parts.model, ["nothing.*"])
