import numpy as np

from emollm.media.leading import lead_order
from emollm.values import FaceTrack


def track(box, frames):
    n = len(frames)
    nothing = np.zeros((n, 468, 3))
    return FaceTrack(
        np.array(frames), np.array(frames) / 8, np.tile(np.array(box, float), (n, 1)), nothing, np.zeros((n, 2, 3)), np.ones(n)
    )


def order(tracks, *, sharp=None, speaks=None, frames=10):
    sharpness = [np.full(len(t.index), s) for t, s in zip(tracks, sharp or [1.0] * len(tracks), strict=True)]
    speaking = [np.full(len(t.index), s) for t, s in zip(tracks, speaks or [False] * len(tracks), strict=True)]
    return lead_order(tracks, frames, (100, 200), sharpness=sharpness, speaking=speaking)


LEFT, RIGHT, MIDDLE = (20, 30, 60, 70), (140, 30, 180, 70), (80, 30, 120, 70)


def test_the_middle_the_sharp_and_the_speaking_lead():
    both = range(10)
    assert order([track(LEFT, both), track(MIDDLE, both)]) == [1, 0]
    assert order([track(LEFT, both), track(RIGHT, both)], sharp=[0.3, 0.6]) == [1, 0]
    assert order([track(LEFT, both), track(RIGHT, both)], speaks=[False, True]) == [1, 0]
    assert order([track(RIGHT, both), track((10, 20, 70, 80), both)]) == [1, 0]


def test_who_is_hardly_there_does_not_lead():
    brief = track((50, 0, 150, 100), range(3))
    assert order([brief, track(LEFT, range(10))]) == [1, 0]
    assert order([brief, track(LEFT, range(2))]) == [0, 1]  # nobody is there for long: the largest
    assert order([]) == []
