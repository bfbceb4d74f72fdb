"""What backbones see of a clip, and what a system's streams take of what they give."""

import numpy as np
import pytest
import torch

from emollm.encoders.toy import ToyBackbone
from emollm.recipe import load_recipe
from emollm.sights import SIGHTS, chosen, look_at, sense, thinned
from emollm.values import FaceTrack, Features
from emollm.watch import Glimpse


def pictures(count, step=2):
    return [Glimpse(n * step, n / 4, np.full((90, 160, 3), n, np.uint8), 0.25) for n in range(count)]


def track(frames):
    corner = np.random.default_rng(0).uniform(100, 300, (468, 3))
    landmarks = np.stack([corner + n for n in range(len(frames))]).astype(np.float32)
    boxes = np.concatenate([landmarks[:, :, :2].min(1), landmarks[:, :, :2].max(1)], 1)
    return FaceTrack(np.array(frames), np.array(frames) / 8, boxes, landmarks, np.zeros((len(frames), 2, 3)), np.ones(len(frames)))


def test_pictures_are_spread_and_faces_are_cut_out_only_where_they_were_seen():
    look = look_at(pictures(31), track([0, 2, 4, 60]), None, ())
    assert len(look.frames) == SIGHTS and look.times_s[0] == 0 and look.times_s[-1] == 7.5
    shown = {round(float(t) * 8) for t in look.times_s[look.seen]}
    assert shown <= {0, 2, 4, 60} and {0, 60} <= shown
    assert not np.isnan(look.landmarks[look.seen]).any() and np.isnan(look.landmarks[~look.seen]).all()
    assert look.landmarks[0] == pytest.approx(track([0]).landmarks[0] * 0.25)  # in pixels of the kept picture


def test_a_sound_alone_has_no_pictures():
    look = look_at([], None, np.ones(16000, np.float32), ((0.0, 1.0),))
    assert look.frames.shape[0] == 0 and look.audio is not None
    assert sense({"vision": ToyBackbone({"frames": 4})}, look) == {}


def test_one_tower_under_two_names_looks_once():
    class Tower(ToyBackbone):
        calls = 0

        def __call__(self, look):
            type(self).calls += 1
            return super().__call__(look)

    tower = Tower({"frames": 4})
    found = sense({"vision": tower, "face": tower}, look_at(pictures(4), None, None, ()))
    assert set(found) == {"vision.frames", "face.frames"} and Tower.calls == 1
    assert found["vision.frames"].marks_s == (0.0, 0.25, 0.5, 0.75)


def test_streams_take_what_their_recipe_names():
    rows = Features(torch.arange(32.0).view(1, 32, 1), torch.ones(1, 32, dtype=torch.bool), marks_s=tuple(n // 2 * 0.5 for n in range(32)))
    recipe = load_recipe("nano-emox")
    taken = chosen(recipe, {"vision.frames": rows, "voice": rows})
    assert set(taken) == {"frames"}
    assert taken["frames"].tokens.shape[1] == 16  # 8 of 16 moments, both rows of each
    assert sorted(set(taken["frames"].marks_s))[0] == 0 and sorted(set(taken["frames"].marks_s))[-1] == 7.5
    one = thinned(next(s for s in load_recipe("emotion-llama-v2").streams if s.name == "image"), rows)
    assert set(one.marks_s) == {4.0}  # the middle moment
