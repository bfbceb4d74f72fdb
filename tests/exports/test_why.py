import numpy as np
import pytest

from emollm.encoders.explain import Explanation
from emollm.exports.why import draw_why, standing_out, why_rows
from emollm.units import INDEX, UNITS
from emollm.values import Analysis, FaceReading, FaceTrack, Segment, Transcript, VoiceCurve, VoiceReading, Word
from emollm.verdict import Peak, Verdict
from emollm.watch import CloseUp

FRAMES = 16


@pytest.fixture
def analysis():
    index = np.arange(FRAMES)
    boxes, nothing = np.zeros((FRAMES, 4)), np.zeros((FRAMES, 468, 3))
    track = FaceTrack(index, index / 8, boxes, nothing, np.zeros((FRAMES, 2, 3)), np.ones(FRAMES))
    units = np.full((FRAMES, len(UNITS)), 0.1)
    units[4:, INDEX["mouthSmileLeft"]] = 0.8  # most of the clip
    units[10, INDEX["eyeBlinkLeft"]] = 1.0
    units[10, INDEX["jawOpen"]] = 0.15
    face = FaceReading(track, ("neutral", "happy"), np.tile([0.1, 0.9], (FRAMES, 1)), ("mouth open",), units=units)
    times = np.arange(20) / 10
    curve = VoiceCurve(times, np.where(times < 1, 100.0, 200.0), np.zeros(20))
    voice = VoiceReading(((0.0, 2.0),), ("calm",), np.ones(1), 150.0, 3.0, -20.0, (), (0,), curve=curve)
    words = Transcript("en", (Segment(0.0, 2.0, "we won it", (Word(0.1, 0.3, "we", 1.0), Word(1.2, 1.4, "won", 1.0))),))
    return Analysis("c", "video", "d", 2.0, (face,), voice, words, {}, {}, {})


@pytest.fixture
def verdict():
    return Verdict(np.zeros(9), (), (), (Peak(1.9, 0, "face", "happy", 0.9),))


def test_a_smile_that_lasts_still_stands_out_and_a_blink_does_not(analysis):
    assert standing_out(analysis.faces[0], 10) == {"mouthSmileLeft": 0.8}


def test_rows_tell_what_was_measured_at_the_peak(analysis, verdict):
    (row,) = why_rows(analysis, verdict)
    assert row["frame"] == 15 and row["units"] == {"mouthSmileLeft": 0.8}
    assert row["words"] == "won"  # within a second
    assert row["pitch_st"] == pytest.approx(5.0, abs=0.1)  # 200 Hz against a median of 150


def test_the_picture_is_drawn_for_faces_only(analysis, verdict, tmp_path):
    pytest.importorskip("matplotlib")
    close_up = CloseUp(1.8, np.full((64, 64), 90, np.uint8), np.zeros((468, 3)), 0.9)
    asked = []

    def explain(shown, label):
        asked.append((shown.time_s, label))
        return Explanation(
            label,
            0.9,
            np.eye(64),
        )

    path = draw_why(analysis, verdict, ((close_up,),), explain, tmp_path / "why.png")
    assert path.stat().st_size > 5000 and asked == [(1.8, "happy")]
    silent = Verdict(np.zeros(9), (), (), (Peak(1.0, None, "voice", "sad", 0.9),))
    assert draw_why(analysis, silent, ((close_up,),), explain, tmp_path / "none.png") is None and not (tmp_path / "none.png").exists()
