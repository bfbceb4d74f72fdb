"""The voice of a synthetic person: real espeak-ng, real pitch."""

import ctypes.util

import numpy as np
import pytest

from emollm.encoders.prosody import measure
from emollm.synth.person import draw_person
from emollm.values import AUDIO_HZ

if ctypes.util.find_library("espeak-ng") is None:
    pytest.skip("espeak-ng is not installed", allow_module_level=True)

from emollm.synth import speech

PERSON = draw_person(3, {})
TEXT = "I put the keys on the table."


@pytest.fixture(scope="module")
def plain():
    return speech.speak(TEXT, PERSON)


def test_words_and_phonemes_have_times_inside_the_sound(plain):
    end = len(plain.audio) / AUDIO_HZ
    assert [w.strip(".").lower() for w, _, _ in plain.words] == ["i", "put", "the", "keys", "on", "the", "table"]
    for rows in (plain.words, plain.sound.phonemes):
        assert all(0 <= a <= b <= end + 0.01 for _, a, b in rows)
        assert [a for _, a, _ in rows] == sorted(a for _, a, _ in rows)
    assert len(plain.sound.phonemes) > 12


def test_a_happy_voice_is_higher_livelier_and_faster_than_a_sad_one():
    happy, sad = (speech.speak(TEXT, PERSON, family) for family in ("happy", "sad"))
    high, low = measure(happy.audio), measure(sad.audio)
    assert high.pitch_hz > 1.1 * low.pitch_hz and high.loudness_db > low.loudness_db + 5
    assert len(happy.audio) < 0.85 * len(sad.audio)
    assert happy.prosody["pitch"] > 1 > sad.prosody["pitch"]


def test_strength_0_is_neutral(plain):
    assert speech.speak(TEXT, PERSON, "angry", strength=0.0).prosody == plain.prosody


def test_women_and_men_speak_differently():
    people = [draw_person(seed, {}) for seed in range(20)]
    man = next(p for p in people if p.masculinity > 0.8 and p.age > 0.6)
    woman = next(p for p in people if p.masculinity < 0.2 and p.age > 0.6)
    assert measure(speech.speak(TEXT, woman).audio).pitch_hz > 1.2 * measure(speech.speak(TEXT, man).audio).pitch_hz


def test_the_same_words_give_the_same_sound(plain):
    assert np.array_equal(speech.speak(TEXT, PERSON).audio, plain.audio)


def test_recordings_drive_the_lips_by_loudness_and_pitch(tmp_path, plain):
    import odd_clips

    path = tmp_path / "voice.wav"
    path.write_bytes(odd_clips.wav_of(plain.audio))
    heard = speech.hear(path)
    assert heard.sound.phonemes == () and heard.sound.energy.max() > 0.8
    assert abs(len(heard.sound.pitch) - len(heard.sound.energy)) <= 2
