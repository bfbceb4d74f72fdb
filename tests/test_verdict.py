from dataclasses import replace

import numpy as np
import pytest

from emollm.encoders.face import EXPRESSIONS
from emollm.encoders.voice import EMOTIONS as VOICES
from emollm.values import Analysis, FaceReading, FaceTrack, Segment, Transcript, VoiceReading
from emollm.verdict import EMOTIONS, join, judge, spread

FRAMES = 48  # six seconds


def sharp(labels, name, share=0.86):
    row = np.full(len(labels), (1 - share) / (len(labels) - 1))
    row[labels.index(name)] = share
    return row


def face(names, condition=True):
    """A face that shows one label after another, in equal parts of six seconds."""
    scores = np.stack([sharp(EXPRESSIONS, names[i * len(names) // FRAMES]) for i in range(FRAMES)])
    index = np.arange(FRAMES)
    track = FaceTrack(
        index, index / 8, np.tile([0.0, 0, 10, 10], (FRAMES, 1)), np.zeros((FRAMES, 468, 3)), np.zeros((FRAMES, 2, 3)), np.ones(FRAMES)
    )
    state = np.tile([0.9, 0.0, 1.0], (FRAMES, 1)) if condition else None
    return FaceReading(track, EXPRESSIONS, scores, (), condition=state)


def voice(name, spans=((0.5, 5.5),), speakers=(0,), share=0.86):
    scores = sharp(VOICES, name, share)
    return VoiceReading(
        spans, VOICES, scores, 120.0, 5.0, -20.0, (), speakers, spans, np.tile(scores, (len(spans), 1)), np.zeros((len(spans), 3))
    )


def clip(faces=(), sound=None):
    return Analysis("c", "video", "d", 6.0, tuple(faces), sound, None, {}, {}, {})


def test_two_witnesses_are_surer_than_one():
    happy = spread(EXPRESSIONS, sharp(EXPRESSIONS, "happy", 0.6))
    both = join(happy, spread(VOICES, sharp(VOICES, "happy", 0.6)))
    assert both[EMOTIONS.index("happy")] > happy.max()
    assert join(happy) is happy


def test_an_emotion_a_modality_does_not_know_is_left_open():
    """The voice has no contempt and the face no boredom: neither rules the other's out."""
    bored = join(spread(EXPRESSIONS, sharp(EXPRESSIONS, "neutral", 0.5)), spread(VOICES, sharp(VOICES, "bored", 0.95)))
    assert EMOTIONS[bored.argmax()] == "bored"
    scorn = join(spread(EXPRESSIONS, sharp(EXPRESSIONS, "contempt", 0.95)), spread(VOICES, sharp(VOICES, "neutral", 0.4)))
    assert EMOTIONS[scorn.argmax()] == "contempt"


def test_moments_follow_the_face_and_say_their_sides():
    found = judge(clip([face(["neutral", "happy"])]))
    assert [(m.label, m.start_s, m.end_s) for m in found.moments] == [("neutral", 0.0, 3.0), ("happy", 3.0, 6.0)]
    assert all(m.sides == {"face": m.label} and m.person == 0 for m in found.moments)
    assert found.scores.sum() == pytest.approx(1)


def test_a_smile_over_a_sad_voice_is_named_with_its_time():
    found = judge(clip([face(["happy"])], voice("sad")))
    (clash,) = found.disagreements
    assert (clash.first, clash.second) == (("face", "happy"), ("voice", "sad"))
    assert clash.start_s == 0.5 and clash.end_s == 5.5
    assert clash.text == "a happy face over a sad voice, 0.5 to 5.5 s"


@pytest.mark.parametrize(
    ("shown", "heard", "share"), [("neutral", "sad", 0.9), ("happy", "surprise", 0.9), ("happy", "sad", 0.4), ("sad", "sad", 0.9)]
)
def test_what_is_no_disagreement(shown, heard, share):
    assert judge(clip([face([shown])], voice(heard, share=share))).disagreements == ()


def test_a_voice_belongs_to_whom_it_belongs_to():
    """The second person speaks: the first one's moments know nothing of it."""
    found = judge(clip([face(["happy"]), face(["sad"])], voice("angry", speakers=(1,))))
    assert all("voice" not in m.sides for m in found.moments if m.person == 0)
    assert any(m.sides.get("voice") == "angry" for m in found.moments if m.person == 1)
    offstage = judge(clip([face(["happy"]), face(["sad"])], voice("angry", speakers=(None,))))
    assert {m.person for m in offstage.moments} == {0, 1, None}


def test_sound_alone_and_nothing_at_all():
    found = judge(clip(sound=voice("fear", speakers=(None,))))
    assert found.label == "fear" and found.moments[0].person is None
    assert judge(clip()) is None


def test_words_stand_beside_and_may_disagree():
    words = Transcript("en", (Segment(0.5, 5.5, "I am fine", (), {"happy": 0.8, "sad": 0.1, "neutral": 0.1}),))
    found = judge(replace(clip([face(["sad"])], voice("sad")), words=words))
    assert {d.text for d in found.disagreements} == {
        "a sad face over happy words, 0.5 to 5.5 s",
        "a sad voice over happy words, 0.5 to 5.5 s",
    }
    assert any(m.sides.get("words") == "happy" for m in found.moments) and found.label == "sad"


def test_peaks_are_the_strongest_points_apart_from_each_other():
    found = judge(clip([face(["neutral", "happy", "neutral", "sad"])]))
    assert [p.label for p in found.peaks] == ["happy", "sad"]
    assert judge(clip([face(["neutral"])])).peaks == ()
