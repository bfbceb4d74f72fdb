"""Times of tokens are where the attention says, and never go back."""

import numpy as np
import pytest
import torch

from emollm.encoders.alignment import path_starts, token_times
from emollm.encoders.speech import in_speech
from emollm.values import Segment, Word


def test_a_clean_staircase_is_followed():
    gain = np.zeros((3, 9))
    for row, (a, b) in enumerate([(0, 2), (2, 6), (6, 9)]):
        gain[row, a:b] = 1
    assert path_starts(gain).tolist() == [0, 2, 6]


def test_noise_cannot_turn_the_path_back():
    rng = np.random.default_rng(0)
    starts = path_starts(rng.normal(size=(12, 80)))
    assert (np.diff(starts) >= 1).all() and starts[0] == 0 and starts[-1] < 80


def test_more_tokens_than_frames_still_have_times():
    starts = path_starts(np.ones((5, 3)))
    assert len(starts) == 5 and (np.diff(starts) >= 0).all() and starts.max() <= 2


def test_one_flickering_frame_is_smoothed_away():
    attention = torch.full((2, 100), 0.01)
    attention[0, :50] = attention[1, 50:] = 1.0
    attention[1, 20], attention[0, 20] = 1.0, 0.01
    assert token_times([attention, attention], 100)[1] == pytest.approx(1.0, abs=0.04)


def test_words_do_not_begin_in_silence():
    words = (Word(0.0, 1.5, "Late", 0.9), Word(1.5, 3.4, "words", 0.8), Word(3.4, 3.5, "stay", 0.7))
    (found,) = in_speech([Segment(0.0, 3.5, "Late words stay", words)], [(1.2, 2.0), (3.0, 3.1)])
    assert [(w.start_s, w.end_s) for w in found.words] == [(1.2, 1.5), (1.5, 2.0), (3.4, 3.5)]
    assert (found.start_s, found.end_s) == (1.2, 3.5)
