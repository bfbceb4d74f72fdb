import numpy as np
import pytest

from emollm.encoders.cues import voice_cues
from emollm.encoders.prosody import measure, pitch_track, speech_spans

HZ = 16_000


def buzz(pitch_hz, seconds=1.0, level=0.2):
    """A voice-like tone: a pulse train of falling harmonics."""
    t = np.arange(round(seconds * HZ)) / HZ
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 12))
    return (level * wave / np.abs(wave).max()).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [80, 120, 200, 310, 440])
def test_pitch_of_known_tones(pitch_hz):
    pitch, clear = pitch_track(buzz(pitch_hz))
    assert np.nanmedian(pitch) == pytest.approx(pitch_hz, rel=0.02)
    assert np.median(clear) > 0.9


def test_semitones_of_a_glide():
    # One octave up in equal steps of an octave a second: 10th to 90th percentile is 0.8 octaves = 9.6 semitones.
    t = np.arange(HZ) / HZ
    phase = 2 * np.pi * np.cumsum(120 * 2**t) / HZ
    found = measure((0.3 * np.sin(phase) + 0.1 * np.sin(2 * phase)).astype(np.float32))
    assert found.pitch_range_st == pytest.approx(9.6, abs=1.0)
    assert found.pitch_slope_st > 5


def test_level_is_in_decibels():
    quiet, loud = measure(buzz(150, level=0.02)), measure(buzz(150, level=0.2))
    assert loud.loudness_db - quiet.loudness_db == pytest.approx(20, abs=0.5)  # ten times the amplitude


def test_silence_noise_and_clicks_hold_no_speech():
    noise = np.random.default_rng(0).normal(0, 0.05, 3 * HZ).astype(np.float32)
    click = np.zeros(HZ, np.float32)
    click[8000:8010] = 0.9
    assert speech_spans(np.zeros(2 * HZ, np.float32)) == ()
    assert speech_spans(noise) == ()
    assert speech_spans(click) == ()
    assert speech_spans(np.zeros(100, np.float32)) == ()


def test_spans_find_the_voice_between_silences():
    sound = np.concatenate([np.zeros(HZ), buzz(150, 1.0), np.zeros(HZ), buzz(180, 0.5), np.zeros(HZ // 2)]).astype(np.float32)
    spans = speech_spans(sound)
    assert np.array(spans) == pytest.approx(np.array([(1.0, 2.0), (3.0, 3.5)]), abs=0.05)


def test_vector_is_finite_even_without_pitch():
    assert np.isfinite(measure(np.zeros(HZ, np.float32)).vector()).all()
    assert len(measure(buzz(100)).vector()) == 9


def test_cues_are_plain_words():
    assert "high pitch" in voice_cues(measure(buzz(320)))
    assert "low pitch" in voice_cues(measure(buzz(80)))
