"""Scores of measurements worked by hand on a clip of two invented people."""

import numpy as np
import pytest

from emollm.errors import DataError
from emollm.evaluation.cards import load_card
from emollm.evaluation.measures import _Collected, _compare, _summary, evaluate_measures
from emollm.units import INDEX, UNITS
from emollm.values import Analysis, FaceReading, FaceTrack, Segment, Transcript, VoiceReading, Word

FRAMES = 8


def person(left, main, words=()):
    units = np.zeros((FRAMES, len(UNITS)))
    units[:, INDEX["jawOpen"]] = np.linspace(0, 0.7, FRAMES)
    return {
        "boxes": [[left, 10, left + 40, 60]] * FRAMES,
        "units": units.tolist(),
        "head": [[5.0, 0.0, 0.0]] * FRAMES,
        "visible": [0.9] * FRAMES,
        "main": main,
        "words": [list(w) for w in words],
    }


def reading(left, jaw):
    index = np.arange(FRAMES)
    boxes, nothing = np.tile([left + 5.0, 15, left + 35, 55], (FRAMES, 1)), np.zeros((FRAMES, 468, 3))
    track = FaceTrack(index, index / 8, boxes, nothing, np.zeros((FRAMES, 2, 3)), np.ones(FRAMES))
    units = np.zeros((FRAMES, len(UNITS)))
    units[:, INDEX["jawOpen"]] = jaw
    return FaceReading(track, ("neutral",), np.ones((FRAMES, 1)), (), pose=np.tile([7.0, 1.0, 0.0], (FRAMES, 1)), units=units)


def analysis(faces, speakers, words=()):
    voice = VoiceReading(((0.0, 0.4), (0.6, 1.0)), ("calm",), np.ones(1), 100.0, 3.0, -20.0, (), speakers)
    said = Transcript("en", (Segment(0.0, 1.0, "x", tuple(Word(a, a + 0.1, w, 1.0) for w, a in words)),)) if words else None
    return Analysis("c", "video", "d", 1.0, tuple(faces), voice, said, {}, {}, {})


def test_everything_is_compared_with_the_right_person():
    truth = {"fps": 8, "people": [person(0, True, [("Hello", 0.1, 0.3)]), person(100, False, [("yes", 0.7, 0.9), ("no", 0.9, 1.0)])]}
    found = _Collected()
    faces = [reading(0, np.linspace(0, 0.5, FRAMES)), reading(100, np.linspace(0.6, 0, FRAMES))]
    _compare(found, truth, analysis(faces, (0, 0), [("hello,", 0.15), ("maybe", 0.5), ("No", 1.0)]))
    metrics = _summary(found)["metrics"]
    assert metrics["speakers"] == {"right": 1, "wrong": 1, "nobody": 0}
    assert metrics["pose_error_degrees"] == {"yaw": 2.0, "pitch": 1.0, "roll": 0.0}
    assert metrics["words"]["matched"] == 2 and metrics["words"]["median_s"] == pytest.approx(0.075)
    assert metrics["main_character"] == {"right": 1, "clips": 1}
    assert set(metrics["units"]) == {"jawOpen"} and -0.2 < metrics["units_correlation"] < 0.2  # one follows, one goes against


def test_covered_faces_do_not_count_and_silence_is_nobodys():
    hidden = person(0, True)
    hidden["visible"] = [0.1] * FRAMES
    found = _Collected()
    _compare(found, {"fps": 8, "people": [hidden]}, analysis([reading(0, 0.5)], (None, None)))
    assert _summary(found)["metrics"] == {"speakers": {"right": 0, "wrong": 0, "nobody": 0}}


def test_a_folder_without_clips_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no synthetic clips"):
        evaluate_measures(load_card("synth-measures"), None, tmp_path, tmp_path / "out")
