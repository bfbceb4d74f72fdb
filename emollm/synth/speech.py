"""A voice for a synthetic person: espeak-ng with a chosen pitch, range, rate and loudness, its phonemes and words with their times.

Emotion in such a voice is prosody by our own rules. A model that hears it learns those rules: never report its scores as about people.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from emollm.errors import EmollmError
from emollm.synth import espeak
from emollm.synth.motion import Sound
from emollm.synth.person import Person
from emollm.values import AUDIO_HZ, Floats

# family -> factors of pitch, of pitch range and of rate, and decibels
PROSODY: Mapping[str, tuple[float, float, float, float]] = {
    "neutral": (1.0, 1.0, 1.0, 0.0),
    "happy": (1.22, 1.7, 1.08, 3.0),
    "sad": (0.88, 0.45, 0.78, -6.0),
    "angry": (1.15, 1.4, 1.12, 6.0),
    "fear": (1.3, 1.1, 1.2, 0.0),
    "surprise": (1.32, 1.9, 1.05, 3.0),
    "disgust": (0.92, 0.8, 0.88, 0.0),
    "contempt": (0.95, 0.7, 0.92, -1.0),
}


@dataclass(frozen=True, slots=True)
class Speech:
    """One spoken sentence."""

    audio: Floats  # [n] float32 at AUDIO_HZ
    words: tuple[tuple[str, float, float], ...]
    sound: Sound
    prosody: Mapping[str, float]  # the targets it was spoken with


def speak(text: str, person: Person, family: str = "neutral", language: str = "en-us", *, strength: float = 1.0) -> Speech:
    """Say a sentence as a person in a mood.

    Args:
        text: Plain words.
        person: Their own pitch and rate.
        family: Key of PROSODY; others speak neutrally.
        language: A voice of espeak-ng.
        strength: 0 speaks neutrally whatever the family.

    Raises:
        EmollmError: espeak-ng is not installed.
    """
    factors = PROSODY.get(family, PROSODY["neutral"])
    pitch, spread, speed = (1 + (f - 1) * strength for f in factors[:3])
    gain = factors[3] * strength
    male = person.masculinity > 0.5
    own = person.voice
    variant = ("m", "f")[not male] + str(1 + person.seed % (7 if male else 5))
    child = 1.25 if person.age < 0.48 else 1.0
    settings = {
        espeak.RATE: int(np.clip(165 * own["rate"] * speed, 80, 320)),
        espeak.PITCH: int(np.clip(50 + 55 * np.log2(own["pitch"] * pitch * child), 0, 99)),
        espeak.RANGE: int(np.clip(50 * spread, 0, 99)),
        espeak.VOLUME: 100,
    }
    wave, rate, marks = _run(text, f"{language}+{variant}", settings)
    audio = soxr.resample(wave, rate, AUDIO_HZ).astype(np.float32)
    audio *= 0.12 * 10 ** (gain / 20) / max(float(np.sqrt(np.mean(audio**2))), 1e-4)
    audio = np.clip(audio, -0.98, 0.98)
    end = len(audio) / AUDIO_HZ
    phonemes = [(name, at) for kind, at, name, _ in marks if kind == espeak.PHONEME]
    timed = [(name, at, nxt) for (name, at), nxt in zip(phonemes, [*(a for _, a in phonemes[1:]), end], strict=True) if name]
    starts = [(at, place - 1) for kind, at, _, place in marks if kind == espeak.WORD]
    return Speech(
        audio=audio,
        words=_words(text, starts, end),
        sound=Sound(tuple(timed), loudness(audio)),
        prosody={"pitch": round(pitch, 3), "range": round(spread, 3), "rate": round(speed, 3), "gain_db": round(gain, 2)},
    )


def _run(text: str, voice: str, settings: Mapping[int, int]) -> tuple[Floats, int, list[tuple[int, float, str, int]]]:
    request = json.dumps({"text": text, "voice": voice, "settings": settings})
    done = subprocess.run([sys.executable, "-I", espeak.__file__], input=request.encode(), capture_output=True, check=False, timeout=60)
    header, _, pcm = done.stdout.partition(b"\n")
    found = json.loads(header or b'{"error": "the engine crashed"}')
    if "error" in found:
        remedy = "Install it (Debian: apt install espeak-ng), or give --voices none."
        raise EmollmError(f"voices need espeak-ng, but {found['error']}. {remedy}")
    wave = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
    return (wave if len(wave) else np.zeros(1, np.float32)), found["rate"], [(k, a, n, p) for k, a, n, p in found["marks"]]


def _words(text: str, starts: list[tuple[float, int]], end: float) -> tuple[tuple[str, float, float], ...]:
    """Words with their times from (second, place in the text) marks; words spoken as one share the time by their letters."""
    found: list[tuple[str, float, float]] = []
    for (at, place), (until, nxt) in itertools.pairwise([*starts, (end, len(text))]):
        parts = text[place:nxt].split()
        edges = np.cumsum([0, *map(len, parts)]) / max(1, sum(map(len, parts)))
        found += [
            (part, at + (until - at) * a, at + (until - at) * b) for part, (a, b) in zip(parts, itertools.pairwise(edges), strict=True)
        ]
    return tuple(found)


def hear(path: Path) -> Speech:
    """Real speech from a file: its loudness and pitch move jaw, brows and head; there are no phonemes and no words.

    Raises:
        MediaError: The file cannot be read.
    """
    from emollm.encoders.prosody import pitch_track
    from emollm.errors import MediaError
    from emollm.media.decode import decode_clip

    clip = decode_clip(path)
    if clip.audio is None:
        raise MediaError(f"{path.name} has no sound", code="no_audio")
    hertz, _ = pitch_track(clip.audio)
    voiced = hertz[np.isfinite(hertz)]
    middle = float(np.median(voiced)) if len(voiced) else 1.0
    semitones = np.where(np.isfinite(hertz), 12 * np.log2(np.nan_to_num(hertz, nan=middle) / middle), 0).astype(np.float32)
    return Speech(clip.audio, (), Sound((), loudness(clip.audio), semitones), {})


def loudness(audio: Floats) -> Floats:
    """[n] 0 to about 1, 100 a second."""
    step = AUDIO_HZ // 100
    frames = audio[: len(audio) // step * step].reshape(-1, step)
    level = np.sqrt((frames**2).mean(1) + 1e-10)
    kernel = np.hanning(7) / np.hanning(7).sum()
    smooth = np.convolve(level, kernel, "same") if len(level) >= 7 else level
    top = np.percentile(smooth, 95) if len(smooth) else 1.0
    return np.asarray(np.clip(smooth / max(float(top), 1e-4), 0, 1.1) ** 0.7, np.float32)
