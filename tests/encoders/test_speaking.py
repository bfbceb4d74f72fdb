"""The moving mouth is the speaker's; still mouths and moving smiles are not."""

import numpy as np

from emollm.encoders.speaking import speakers
from emollm.values import FaceTrack

TIMES = np.arange(0, 6, 0.125)


def track(gap):
    landmarks = np.zeros((len(TIMES), 468, 3))
    landmarks[:, 61, 0], landmarks[:, 291, 0] = -20, 20
    landmarks[:, 14, 1] = gap
    return FaceTrack(
        np.arange(len(TIMES)), TIMES, np.zeros((len(TIMES), 4)), landmarks, np.full((len(TIMES), 2, 3), np.nan), np.ones(len(TIMES))
    )


def talking(begin, end):
    return np.where((begin <= TIMES) & (end >= TIMES), 6 + 5 * np.sin(2 * np.pi * 3.1 * TIMES), 0.5)


def test_two_people_take_turns():
    people = [track(talking(0.5, 2.0)), track(talking(3.0, 5.0))]
    assert speakers(people, [(0.5, 2.0), (3.0, 5.0)]) == (0, 1)


def test_a_voice_off_screen_belongs_to_nobody():
    assert speakers([track(np.full(len(TIMES), 1.0))], [(1.0, 4.0)]) == (None,)
    assert speakers([], [(1.0, 4.0)]) == (None,) and speakers([], []) == ()


def test_a_slow_yawn_is_not_speech():
    yawn = 12 * np.exp(-(((TIMES - 3) / 1.5) ** 2))
    assert speakers([track(yawn), track(talking(1, 5))], [(1.0, 5.0)]) == (1,)


def test_two_mouths_moving_alike_are_not_told_apart():
    assert speakers([track(talking(1, 5)), track(talking(1, 5))], [(1.0, 5.0)]) == (None,)


def test_one_jump_of_a_landmark_is_not_speech():
    gap = np.full(len(TIMES), 1.0)
    gap[20] = 30
    assert speakers([track(gap)], [(1.0, 5.0)]) == (None,)
