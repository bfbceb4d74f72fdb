"""Local agents on measurements made by hand: what they see, and what they leave open."""

from dataclasses import replace

import numpy as np
import pytest
from stubs import SMILE, clip, face, voice

from emollm.annotation.audio_agent import listen
from emollm.annotation.consolidate import conclusion, consolidate
from emollm.annotation.finding import Finding
from emollm.annotation.transcript_agent import feelings, read
from emollm.annotation.units_agent import look_at_units, pattern
from emollm.annotation.visual_agent import look


def test_units_peak_active_units_and_onset():
    found = look_at_units(clip(units=SMILE))
    assert found.emotion == "happy" and found.peak_s >= 2.0
    assert "AU12 lip corner puller (0.80), AU06 cheek raiser (0.60)" in found.text
    assert found.gist == "At 2.0 s the corners of the mouth rise and the cheeks lift. These movements of the face belong to happiness."


def test_a_single_wild_frame_is_no_peak():
    reading = face(units=SMILE)
    reading.units[3] = 1.0
    reading.units[13:16] *= 1.1
    assert look_at_units(clip(faces=(reading,))).peak_s == 3.25


def test_a_label_without_its_units_is_said_and_moves_no_peak():
    found = look_at_units(clip(), "angry")
    assert found.text.startswith("No unit of anger is clearly active. All units together are strongest at 2.0 s.")


def test_a_guided_peak_follows_the_label_but_the_emotion_does_not():
    both = SMILE | {"browInnerUp": 0.5, "mouthFrown": 0.35}
    found = look_at_units(clip(units=both), "sad")
    assert found.text.startswith("The units of sadness are strongest") and found.emotion == "happy"


@pytest.mark.parametrize(
    ("units", "emotion"),
    [
        ({}, "neutral"),
        ({"browInnerUp": 0.9}, "neutral"),
        ({"browInnerUp": 0.7, "mouthFrown": 0.6}, "sad"),
        ({"mouthDimple": 0.9}, "neutral"),
        ({"mouthDimpleLeft": 0.9}, "contempt"),
    ],
)
def test_one_unit_of_several_is_no_emotion(units, emotion):
    assert pattern(face(units=units)) == emotion


def test_visual_tells_the_course_and_the_head():
    found = look(clip(turn=25.0))
    assert found.text.startswith("One person is visible. The face looks neutral from 0.0 to 2.0 s, then happy from 2.0 to 4.0 s.")
    assert found.text.endswith("At 3.0 s the head turns to the person's left.")
    assert look(clip(course=("happy",))).gist == "The face looks mostly happy. The head stays nearly still."
    assert look(clip(faces=())) == Finding("")


def test_audio_names_doubt():
    assert listen(clip(sound="calm")).gist == "The voice sounds calm (70%); it is slow."
    unsure = clip()
    scores = np.concatenate([[0.0], [0.3], [0.25], np.full(6, 0.45 / 6)])
    said = listen(replace(unsure, voice=replace(voice(), scores=scores, cues=("lively melody",))))
    assert said.gist == "The voice is hard to read: perhaps calm (30%), perhaps happy (25%); it has a lively melody."
    assert said.emotion == "neutral"
    assert listen(clip()) == Finding("")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("I am so happy I can hardly believe it.", {"happy"}), ("I just feel very alone tonight.", {"sad"}),
        ("I am not happy.", set()), ("She said he is happy.", set()), ("Please close the door.", set()),
        ("I'm angry and I am scared.", {"angry", "fear"}), ("I did not expect this at all.", {"surprise"}), ("I am never sad.", set()),
    ],
)  # fmt: skip
def test_words_tell_only_what_the_speaker_says_of_themselves(said, told):
    assert set(feelings(said)) == told


def test_transcript_says_when_the_words_do_not():
    assert read(clip(said="Close the door.")).gist.endswith("The words alone do not say how the person feels.")
    assert read(clip(), "我很高兴", "zh").emotion == ""
    assert 'in Chinese: "我很高兴' in read(clip(), "我很高兴", "zh").text
    assert read(clip(said='He said "go", I am angry.')).text.count('"') == 4  # its own quotation marks are not ours


@pytest.mark.parametrize(
    ("said", "outright", "emotion", "part"),
    [
        ({}, False, "", ""),
        ({"visual": "happy"}, False, "happy", ""),
        ({"visual": "happy", "audio": "happy"}, False, "happy", "face as a whole and the voice point to happiness."),
        ({"visual": "neutral", "audio": "neutral"}, False, "neutral", "point to calm."),
        ({"visual": "neutral", "transcript": "sad"}, True, "sad", "The words point to sadness, while the face as a whole seems calm."),
        ({"visual": "neutral", "audio": "sad"}, False, "", "Only the voice points to sadness, while the face as a whole seems calm."),
        ({"visual": "happy", "audio": "sad"}, False, "", "The agents disagree: the face as a whole points to happiness; the voice points"),
        ({"units": "sad", "visual": "neutral", "audio": "neutral"}, False, "neutral", "Only the facial movements point to sadness"),
    ],
)
def test_disagreement_is_named(said, outright, emotion, part):
    found, sentence = conclusion(said, outright=outright)
    assert found == emotion and part in sentence


def test_consolidator_adds_no_claim():
    findings = {"visual": Finding("v", "The face looks happy.", "happy"), "audio": Finding("")}
    assert consolidate(findings).text == "The face looks happy."
    assert consolidate({"audio": Finding("")}) == Finding("")
