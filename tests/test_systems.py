"""The published systems at toy scale: what each adds is really there, end to end, and a new one costs one file."""

import json
import re

import cv2
import numpy as np
import pytest
import tiny_data
import torch
from paths import SAMPLES

from emollm import catalog, weights
from emollm.build import build, build_perception
from emollm.chat.local import LocalBackend
from emollm.data.collate import pad_features, pad_guides, pad_prompts
from emollm.data.conversation import ClipView, Turn
from emollm.errors import RecipeError
from emollm.media.decode import Limits, decode_clip
from emollm.recipe import load_recipe
from emollm.training.run import train
from emollm.values import Clip, Message, Sampling

SYSTEMS = ("nano-emox", "emotion-llama-v2", "favchat", "facetrack-mm")
needs_faces = pytest.mark.skipif(not weights.ready("mediapipe-face"), reason="needs `emollm weights pull mediapipe-face`")


def clip_batch(parts, features, question="How?"):
    view = ClipView("video", 4.0, {n: len(f) for n, f in features.items()})
    encoded = parts.prompts.build([Turn("user", question, clip=view)])
    batch = pad_prompts([encoded], parts.prompts.end_id)
    inputs = pad_features([features], parts.model.streams, parts.recipe.widths(parts.scale))
    return batch, inputs, pad_guides([encoded], parts.prompts.end_id)


def random_features(parts, rows=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    widths = parts.recipe.widths(parts.scale)
    return {s.name: torch.randn(rows, widths[s.name], generator=generator) for s in parts.recipe.streams if not s.fuse}


def logits(parts, features, question="How?"):
    batch, inputs, guide = clip_batch(parts, features, question)
    with torch.inference_mode():
        return parts.model(**{k: v for k, v in batch.items() if k != "labels"}, features=inputs, guide=guide).logits[0, -1]


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_stream_reaches_the_answer(name):
    parts = build(name, "toy", perception=object())
    features = random_features(parts)
    before = logits(parts, features)
    for stream in features:
        changed = logits(parts, {**features, stream: torch.zeros_like(features[stream])})
        assert (changed - before).abs().max() > 1e-5, f"{stream} of {name} is not heard"


@pytest.mark.parametrize("name", SYSTEMS)
def test_rows_of_a_batch_do_not_touch_one_another(name):
    """What pads a short clip beside a long one must not change it."""
    parts = build(name, "toy", perception=object())
    short, long = random_features(parts, 3, seed=1), random_features(parts, 9, seed=2)
    widths = parts.recipe.widths("toy")
    with torch.inference_mode():
        alone = parts.model.project(pad_features([short], parts.model.streams, widths))
        beside = parts.model.project(pad_features([short, long], parts.model.streams, widths))
    for stream, (tokens, mask) in alone.items():
        other, both = beside[stream]
        assert int(mask.sum()) == int(both[0].sum())
        torch.testing.assert_close(tokens[mask], other[0][both[0]], atol=1e-4, rtol=1e-3)


def test_the_question_changes_what_favchat_sees_and_nobody_else():
    for name in SYSTEMS:
        parts = build(name, "toy", perception=object())
        features = random_features(parts)
        _, inputs, guide = clip_batch(parts, features, "Are the brows raised?")
        _, _, other = clip_batch(parts, features, "What does the mouth do at the end?")
        with torch.inference_mode():
            one, two = parts.model.project(inputs, guide), parts.model.project(inputs, other)
        moved = any((one[n][0] - two[n][0]).abs().max() > 1e-5 for n in one)
        assert moved == (name == "favchat") == parts.model.guided


def test_shares_sum_to_one():
    for name, fused in (("nano-emox", "fused"), ("favchat", "seen")):
        parts = build(name, "toy", perception=object())
        _, inputs, guide = clip_batch(parts, random_features(parts))
        parts.model.project(inputs, guide)
        assert parts.model.fusers[fused].shares.sum(-1).tolist() == pytest.approx([1.0], abs=1e-5)


def test_times_of_the_face_are_in_the_prompt_only_where_a_recipe_wants_them():
    for name, wanted in (("facetrack-mm", True), ("facetrack-mm+no-marks", False)):
        parts = build(name, "toy", perception=object())
        view = ClipView("video", 4.0, {"general": 8, "face": 3}, {"face": (0.0, 1.5, 2.5)})
        encoded = parts.prompts.build([Turn("user", "How?", clip=view)])
        text = parts.tokenizer.decode([i for i, slot in zip(encoded.input_ids, encoded.slots, strict=True) if slot < 0])
        assert (" 1.5 s" in text) == wanted
        assert sum(slot == parts.model.streams.index("face") for slot in encoded.slots) == 3


def test_a_missing_view_leaves_its_line_out():
    parts = build("emotion-llama-v2", "toy", perception=object())
    counts = parts.model.counts({"image": 16, "image-whole": 1, "video": 4})
    assert counts == {"image": 16, "image-whole": 0, "video": 4, "audio": 0, "fused": 0}
    view = ClipView("image", 0.0, {"image": 16, "image-whole": 1, "video": 4})
    encoded = parts.prompts.build([Turn("user", "How?", clip=view)])
    text = parts.tokenizer.decode([i for i, slot in zip(encoded.input_ids, encoded.slots, strict=True) if slot < 0])
    assert "Picture:" in text and "Sound:" not in text and "says" not in text


def test_words_of_a_clip_never_become_control_tokens():
    parts = build("nano-emox", "toy", perception=object())
    view = ClipView("video", 1.0, {}, words='so <|im_end|> {frames} "quoted"')
    encoded = parts.prompts.build([Turn("user", "How?", clip=view)])
    assert encoded.input_ids.count(parts.prompts.end_id) == 2  # of the system turn and of the user's
    assert all(slot < 0 for slot in encoded.slots)


@needs_faces
def test_facetrack_follows_the_right_person_through_a_crossing():
    """The main person walks from left to right, a smaller one from right to left; the crops stay with the main one."""
    joy = decode_clip(SAMPLES / "sample_joy.mp4", Limits(fps=10)).frames
    sad = decode_clip(SAMPLES / "sample_sad.mp4", Limits(fps=10)).frames
    large, small = cv2.resize(joy[20][40:350, 150:470], (220, 214)), cv2.resize(sad[20][40:350, 150:470], (120, 116))
    frames, where = [], []
    for k in range(32):
        canvas = np.full((300, 700, 3), 90, np.uint8)
        left, right = 20 + 14 * k, 560 - 15 * k
        canvas[10:126, right : right + 120] = small
        canvas[60:274, left : left + 220] = large
        frames.append(canvas)
        where.append(left + 110)
    perception = build_perception("facetrack-mm", "toy")
    kept = []
    perception._backbones["face"] = type("Spy", (), {"gives": {}, "__call__": lambda self, look: kept.append(look) or {}})()
    perception.measure(Clip("x", "video", "d", 3.2, np.stack(frames), np.arange(32) / 10, None))
    look = kept[0]
    assert look.seen.mean() > 0.9
    scale = look.frames.shape[2] / 700
    for time_s, points in zip(look.times_s[look.seen], look.landmarks[look.seen], strict=True):
        assert points[:, 0].mean() / scale == pytest.approx(where[round(time_s * 10)], abs=35)


@needs_faces
@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_trains_through_its_stages_and_chats(name, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    data = tiny_data.build(folder)
    mixture = tmp_path / "mix.toml"
    sources = [
        '[[sources]]\ntask = "recognise"\ncorpora = ["pics"]\ncount = 4\n',
        '[[sources]]\ntask = "recognise-parts"\ncorpora = ["pics"]\ncount = 4\n',
    ]
    if "audio" in {s.name for s in load_recipe(name).streams}:
        sources.append('[[sources]]\ntask = "recognise-pair"\ncorpora = ["talk"]\nfaces = ["pics"]\ncount = 4\n')
    mixture.write_text("".join(sources), "utf-8")
    text = catalog.find("adapters", name).read_text("utf-8")
    recipe = tmp_path / "small.toml"
    recipe.write_text(re.sub(r'data = "[\w-]+"', f'data = "{mixture}"', text), "utf-8")
    out = train(str(recipe), "toy", data, tmp_path / "out", workers=1)
    stages = load_recipe(name).stages
    for number, stage in enumerate(stages):
        done = json.loads((tmp_path / "out" / f"{number}-{stage.name}" / "done.json").read_text("utf-8"))
        assert np.isfinite(done["train_loss"])
    backend = LocalBackend(build(str(recipe), "toy", adapters=out))
    message = Message("user", "How do they feel?", (SAMPLES / "sample_joy.mp4",))
    reply = backend.reply([message], Sampling(max_new_tokens=4))
    assert isinstance(reply.text(), str)
    budget = sum(s.projector.tokens for s in backend.parts.recipe.streams if s.projector is not None)
    assert reply.usage.prompt_tokens > min(budget, 16)


FIFTH = """
name = "fifth"
source = "ours"
summary = "one picture, one token"
system_prompt = ""
layout = ["Seen: {look}"]
[[streams]]
name = "look"
source = "vision"
take = "frames"
width = 12
frames = 4
projector = { kind = "linear", tokens = 4 }
[scales.toy]
llm = { lora_rank = 2, config = { model_type = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 1 } }
[scales.toy.encoders]
vision = { kind = "toy", options = { gives = { frames = 12 } } }
[[stages]]
name = "only"
method = "sft"
data = "face-labels"
train = ["projectors.*"]
learning_rate = 1e-3
epochs = 1
"""


def test_a_fifth_system_is_one_file(tmp_path):
    path = tmp_path / "fifth.toml"
    path.write_text(FIFTH, "utf-8")
    backend = LocalBackend(build(str(path), "toy"))
    reply = backend.reply([Message("user", "How?", (SAMPLES / "sample_joy.mp4",))], Sampling(max_new_tokens=3))
    assert isinstance(reply.text(), str)


def test_faults_of_a_recipe_are_told_together(tmp_path):
    path = tmp_path / "fifth.toml"
    path.write_text(FIFTH.replace('"Seen: {look}"', '"Seen: {lok}"').replace("width = 12\n", ""), "utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert "layout line" in str(caught.value) and "no width" in str(caught.value)
    path.write_text(FIFTH.replace('kind = "linear", tokens = 4', 'kind = "linear", tokens = 4, options = { colour = 1 }'), "utf-8")
    with pytest.raises(RecipeError, match=r"stream 'look': LinearProjector cannot be built.*colour"):
        build(str(path), "toy", perception=object())
    with pytest.raises(RecipeError, match=r"unknown variant 'no-fuson'.*Did you mean 'no-fusion'"):
        load_recipe("nano-emox+no-fuson")
