"""Who speaks when: one after the other, inside the clip, in the split's own sentences."""

import ctypes.util
import itertools

import numpy as np
import pytest

from emollm.synth.motion import Event, Sound
from emollm.synth.person import draw_person
from emollm.synth.speech import Speech
from emollm.synth.turns import Spoken, listen, plan_turns, sentences

PEOPLE = [draw_person(seed, {}) for seed in (1, 2, 3)]
NOBODY = [[], [], []]


def said(start, seconds):
    return Spoken(Speech(np.zeros(int(seconds * 16000), np.float32), (), Sound((), np.ones(10, np.float32)), {}), start, "Yes.", "neutral")


def test_without_voices_nobody_speaks():
    assert all(plan_turns(PEOPLE, NOBODY, "none", "train", 6.0, np.random.default_rng(k)) == {} for k in range(20))


@pytest.mark.skipif(ctypes.util.find_library("espeak-ng") is None, reason="espeak-ng is not installed")
def test_turns_follow_each_other_and_stay_inside_the_clip():
    answered = 0
    for seed in range(12):
        spoken = plan_turns(PEOPLE, NOBODY, "espeak", "val", 7.0, np.random.default_rng(seed))
        turns = sorted(spoken.values(), key=lambda s: s.start)
        assert all(t.end <= 7.0 and t.text in sentences("val")[t.family] for t in turns)
        assert all(a.end <= b.start for a, b in itertools.pairwise(turns))
        answered += len(turns) == 2
    assert answered >= 2


def test_lips_move_when_the_words_are_heard():
    sound = said(2.0, 1.0).sound
    assert sound.energy[:200].max() == 0 and sound.energy[200:].min() == 1


def test_a_listener_looks_at_the_speaker():
    places = [(-0.8, 0, 0), (1.2, 0, -2)]
    glances = [g for seed in range(10) for g in listen(0, places, {1: said(1.0, 2.0)}, np.random.default_rng(seed))]
    assert glances and all(g.kind == "glance" and g.name == "left" and g.onset > 1.0 for g in glances)  # the picture's right is their left
    assert not listen(1, places, {1: said(1.0, 2.0)}, np.random.default_rng(0))
    back = [g for seed in range(10) for g in listen(1, places, {0: said(0.0, 2.0)}, np.random.default_rng(seed))]
    assert {g.name for g in back} == {"right"} and isinstance(back[0], Event)
