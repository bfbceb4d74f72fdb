import numpy as np
import pytest

from emollm import weights
from emollm.evaluation.scenes import follow, score_scenes
from emollm.synth.scenes import Scene, Standing
from emollm.values import FaceTrack

HERE, THERE = (100.0, 100.0, 160.0, 180.0), (300.0, 100.0, 360.0, 180.0)


def track(boxes):
    """A track from {frame: box}."""
    n = len(boxes)
    index = np.array(sorted(boxes))
    return FaceTrack(index, index / 8, np.array([boxes[i] for i in index]), np.zeros((n, 468, 3)), np.zeros((n, 2, 3)), np.ones(n))


def scene(people, main=0):
    return Scene("two", 0, np.zeros((len(people), 288, 512, 3), np.uint8), np.arange(len(people)) / 8, tuple(people), main)


def both(a=1.0, b=1.0):
    return (Standing(0, HERE, a), Standing(1, THERE, b))


def test_right_tracks_have_no_faults():
    found = follow(scene([both()] * 4), [track(dict.fromkeys(range(4), HERE)), track(dict.fromkeys(range(4), THERE))])
    assert (found.faces, found.missed, found.false, found.switches, found.main) == (8, 0, 0, 0, 1)


def test_faults_are_counted():
    swapped = follow(scene([both()] * 4), [track({0: HERE, 1: HERE, 2: THERE, 3: THERE}), track({0: THERE, 1: THERE, 2: HERE, 3: HERE})])
    assert swapped.switches == 2 and swapped.missed == 0
    gone = follow(scene([both()] * 4), [track({0: HERE, 1: HERE})])
    assert gone.missed == 6
    assert follow(scene([both()] * 2), [track({0: (0.0, 0.0, 40.0, 40.0)})]).false == 1
    assert follow(scene([both()] * 3, main=1), [track(dict.fromkeys(range(3), HERE))]).main == 0


def test_guesses_that_look_at_no_face_are_floors():
    # the person at the left is as far from the middle (256, 144) as 127, the other as 74
    right, wrong = ([track(dict.fromkeys(range(2), box))] for box in (HERE, THERE))
    scenes = [scene([both()] * 2)] * 3 + [scene([(), ()], main=None)]
    found = score_scenes(scenes, lambda _: right)
    assert found["metrics"] == {"main_accuracy": 1.0, "interval": [1.0, 1.0]} and not found["warnings"]
    assert found["floors"] == {"anybody": {"main_accuracy": 0.5}, "central": {"main_accuracy": 0.0}}
    found = score_scenes(scenes, lambda _: wrong)
    assert found["warnings"] == ["main_accuracy 0.000 does not exceed its floor 0.500 (anybody)."]
    assert score_scenes(scenes[3:], lambda _: [])["metrics"] == {}


def test_who_is_hidden_is_not_missed():
    assert follow(scene([both(b=0.2)] * 3), [track(dict.fromkeys(range(3), HERE))]).missed == 0


@pytest.mark.skipif(not weights.ready("makehuman-head"), reason="needs `emollm weights pull makehuman-head`")
def test_scenes_are_the_same_for_the_same_seed():
    pytest.importorskip("numba")
    from emollm.synth.scenes import make_scene

    a, b = make_scene("profile", 3, 5), make_scene("profile", 3, 5)
    assert np.array_equal(a.frames, b.frames) and a.people == b.people
    assert a.frames.shape == (48, 288, 512, 3) and all(len(p) == 1 for p in a.people)
