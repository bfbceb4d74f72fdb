"""Scores of measurements worked by hand on a clip of two invented people."""

import gzip
import json
import re

import numpy as np
import pytest
from eval_command import evaluated

from emollm import build
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


class Measuring:
    """Reads jaws of dark faces worse, and follows nobody else's; stands in for the encoders."""

    def __init__(self, truths):
        self.truths = truths

    def look(self, path):
        truth = self.truths[path.stem]
        rng = np.random.default_rng(len(path.stem) + int(path.stem[-1]))
        noise = 0.5 if truth["people"][0]["appearance"]["skin"] == "dark" else 0.02
        jaw = np.array(truth["people"][0]["units"])[:, INDEX["jawOpen"]]
        return analysis([reading(0, jaw + noise * rng.normal(size=FRAMES))], (None, None)), {}


@pytest.fixture
def films(tmp_path, monkeypatch):
    truths = {}
    (tmp_path / "truth").mkdir()
    for k in range(10):
        one = person(0, True)
        units = np.zeros((FRAMES, len(UNITS)))
        units[:, INDEX["jawOpen"]] = np.abs(np.sin(np.arange(FRAMES) * (0.3 + 0.5 * k)))
        look = {"age": "young" if k % 2 else "older", "skin": "dark" if k < 5 else "light"}
        one |= {"units": units.tolist(), "appearance": look, "identity": {"masculinity": 0.9 if k % 3 else 0.1}}
        truths[f"val-{k}"] = {"name": f"val-{k}", "fps": 8, "people": [one]}
        with gzip.open(tmp_path / "truth" / f"val-{k}.json.gz", "wt", encoding="utf-8") as file:
            json.dump(truths[f"val-{k}"], file)
    monkeypatch.setattr(build, "measuring_maker", lambda *_: lambda: Measuring(truths))
    return tmp_path


def test_the_command_prints_groups_of_people_at_equal_expression_with_intervals(films, capsys):
    code, text, error = evaluated(capsys, "synth-measures", "--data", films, "--out", films / "o")
    assert code == 0, error
    for group in ("age older", "age young", "skin dark", "skin light", "sex female", "sex male"):
        assert re.search(rf"\| {group} \| \d+ \| -?\d\.\d{{3}} \| -?\d\.\d{{3}} to -?\d\.\d{{3}} \|", text), group
    assert "| skin: light - dark |" in text
    found = json.loads((films / "o" / "results.json").read_text("utf-8"))
    skin = found["slices"]["skin"]
    assert skin["groups"]["light"]["correlation"] > 0.95 and skin["gap"]["interval"][0] > 0  # so large a gap is no luck
    assert found["floors"]["constant"]["units_correlation"] == 0 and found["floors"]["shuffled_media"]["units_correlation"] < 0.5
    low, high = found["metrics"]["interval"]
    assert low <= found["metrics"]["units_correlation"] <= high and found["recipe_hash"] and found["system"] == "emollm encoders"
    assert evaluated(capsys, "--report", films / "o")[0] == 0
    assert "People by skin, 1 units that moved in every group" in (films / "o" / "report.md").read_text("utf-8")
