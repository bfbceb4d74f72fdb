"""Pitch, loudness, pauses and voice quality of speech, as numbers with units; what they mean is for others to say.

Source: pitch by the cumulative mean normalised difference of YIN (de Cheveigne and Kawahara, 2002), computed for all frames at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from emollm.values import AUDIO_HZ, Floats

HOP_S = 0.01
FRAME_S = 0.05
PITCH_LOW_HZ, PITCH_HIGH_HZ = 60.0, 500.0
APERIODIC = 0.35  # normalised difference above which a frame counts as unvoiced
SILENT_DB = -60.0
DROP_DB = 30.0  # a frame this far below the loudest speech is a pause
SHORT_GAP_S = 0.35
LEAST_SPEECH_S = 0.2


@dataclass(frozen=True, slots=True)
class Prosody:
    """Measures over the speech of one stretch of sound."""

    pitch_hz: float  # median of voiced frames, NaN if there are none
    pitch_range_st: float  # 10th to 90th percentile, semitones
    pitch_slope_st: float  # last third against first third, semitones
    loudness_db: float  # mean over speech, re full scale
    loudness_range_db: float  # 10th to 90th percentile
    voiced_share: float
    pause_share: float
    bursts_per_s: float  # syllable-like peaks of the envelope
    periodicity: float  # 1 = clear tone, 0 = breath or noise
    tilt_db: float  # energy above 1 kHz against below: tense voices are brighter
    seconds: float

    def vector(self) -> Floats:
        """[9] float32 on comparable scales, NaN as 0. Level and length are left out: they tell recordings apart, not voices."""
        pitch = 12 * np.log2(self.pitch_hz / 150) / 12
        rest = [
            self.pitch_range_st / 12,
            self.pitch_slope_st / 6,
            self.loudness_range_db / 20,
            self.voiced_share,
            self.pause_share,
            self.bursts_per_s / 5,
            self.periodicity,
            self.tilt_db / 20,
        ]
        return np.nan_to_num(np.array([pitch, *rest])).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Curve:
    """Level and pitch of a whole sound, one value each 10 ms, all [T]."""

    level_db: Floats  # re full scale
    pitch_hz: Floats  # NaN where unvoiced
    clear: Floats  # periodicity, 0 to 1

    @classmethod
    def of(cls, audio: Floats) -> Curve:
        """Follow a sound, [S] at 16 kHz; no copy of it is made, however long it is."""
        levels = frame_levels(audio)
        pitch, clear = pitch_track(audio)
        count = min(len(levels), len(pitch))
        return cls(levels[:count], pitch[:count], clear[:count])

    def part(self, start_s: float, end_s: float) -> Curve:
        """Between two moments."""
        piece = slice(round(start_s / HOP_S), max(round(start_s / HOP_S) + 1, round(end_s / HOP_S)))
        return Curve(self.level_db[piece], self.pitch_hz[piece], self.clear[piece])


def frame_levels(audio: Floats) -> Floats:
    """[S] samples to the level of each 10 ms frame in dB re full scale, [T]."""
    hop = round(HOP_S * AUDIO_HZ)
    count = max(1, len(audio) // hop)
    whole = audio if len(audio) >= count * hop else np.pad(audio, (0, count * hop - len(audio)))
    frames = whole[: count * hop].reshape(count, hop)
    return 10 * np.log10(np.einsum("th,th->t", frames, frames) / hop + 1e-12)


def pitch_track(audio: Floats) -> tuple[Floats, Floats]:
    """Pitch in Hz (NaN where unvoiced) and periodicity in [0, 1] of each 10 ms frame, both [T]."""
    hop, size = round(HOP_S * AUDIO_HZ), round(FRAME_S * AUDIO_HZ)
    count = max(1, len(audio) // hop)
    pitch, clear = np.full(count, np.nan), np.zeros(count)
    longest, shortest = int(AUDIO_HZ / PITCH_LOW_HZ), int(AUDIO_HZ / PITCH_HIGH_HZ)
    for begin in range(0, count, 2048):  # blocks, so that an hour needs no more memory than a minute
        end = min(begin + 2048, count)
        first, last = begin * hop - size // 2, (end - 1) * hop - size // 2 + size
        block = audio[max(0, first) : last].astype(np.float32)
        block = np.pad(block, (max(0, -first), max(0, last - first - max(0, -first) - len(block))))
        frames = np.lib.stride_tricks.sliding_window_view(block, size)[::hop]
        spectrum = np.fft.rfft(frames, 2 * size)
        correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, : longest + 2]
        power = np.cumsum(frames**2, 1)
        total = power[:, -1:]
        lags = np.arange(longest + 2)
        head = total - np.concatenate([np.zeros((len(frames), 1)), power[:, : longest + 1]], 1)  # energy after dropping `lag` samples
        tail = np.take_along_axis(power, np.broadcast_to(size - 1 - lags, (len(frames), len(lags))), 1)
        difference = np.maximum(head + tail - 2 * correlation, 0)
        running = np.cumsum(difference[:, 1:], 1) / np.arange(1, longest + 2)
        normal = np.concatenate([np.ones((len(frames), 1)), difference[:, 1:] / np.maximum(running, 1e-9)], 1)
        window = normal[:, shortest : longest + 1]
        # The first dip below the threshold, not the deepest: the deepest is often an octave low.
        dips = (window[:, 1:-1] < APERIODIC) & (window[:, 1:-1] <= window[:, :-2]) & (window[:, 1:-1] <= window[:, 2:])
        first = np.where(dips.any(1), dips.argmax(1) + 1, window.argmin(1))
        depth = np.take_along_axis(window, first[:, None], 1)[:, 0]
        loud = 10 * np.log10(total[:, 0] / size + 1e-12) > SILENT_DB
        clear[begin:end] = np.clip(1 - depth, 0, 1) * loud
        pitch[begin:end] = np.where((depth < APERIODIC) & loud, AUDIO_HZ / (first + shortest), np.nan)
    return pitch, clear


def speech_spans(audio: Floats, curve: Curve | None = None) -> tuple[tuple[float, float], ...]:
    """Stretches of voiced sound in seconds; empty for silence, noise without pitch and clicks.

    A level gate with a voicing test: enough to tell a voice from silence, not a voice from a violin. `curve` is the sound's own, if known.
    """
    if len(audio) < LEAST_SPEECH_S * AUDIO_HZ:
        return ()
    curve = curve or Curve.of(audio)
    levels, voiced = curve.level_db, np.isfinite(curve.pitch_hz)
    if voiced.sum() * HOP_S < LEAST_SPEECH_S / 2:
        return ()
    peak = np.percentile(levels[voiced], 95)
    active = levels > max(peak - DROP_DB, SILENT_DB)
    spans: list[list[float]] = []
    for i in np.flatnonzero(active):
        if spans and i * HOP_S - spans[-1][1] <= SHORT_GAP_S:
            spans[-1][1] = (i + 1) * HOP_S
        else:
            spans.append([i * HOP_S, (i + 1) * HOP_S])
    kept = []
    for start, end in spans:
        inside = voiced[round(start / HOP_S) : round(end / HOP_S)]
        if end - start >= LEAST_SPEECH_S and inside.mean() > 0.04:
            kept.append((round(float(start), 2), round(float(end), 2)))
    return tuple(kept)


def measure(audio: Floats, curve: Curve | None = None) -> Prosody:
    """Measure one stretch of speech, [S] at 16 kHz; `curve` is that stretch's own, if known."""
    curve = curve or Curve.of(audio)
    levels, pitch, clear = curve.level_db, curve.pitch_hz, curve.clear
    count = len(levels)
    active = levels > max(np.percentile(levels, 95) - DROP_DB, SILENT_DB)
    tones = 12 * np.log2(pitch[np.isfinite(pitch)] / 100)
    third = max(1, len(tones) // 3)
    smooth = np.convolve(10 ** (levels / 20), np.hanning(9) / np.hanning(9).sum(), "same")
    peaks = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & (smooth[1:-1] > 0.3 * smooth.max()) if count > 2 else np.zeros(0)
    spectrum = np.abs(np.fft.rfft(audio)) ** 2 if len(audio) else np.ones(2)
    edge = round(1000 / (AUDIO_HZ / 2) * len(spectrum))
    spoken = levels[active] if active.any() else levels
    return Prosody(
        pitch_hz=float(2 ** (np.median(tones) / 12) * 100) if len(tones) else float("nan"),
        pitch_range_st=float(np.ptp(np.percentile(tones, [10, 90]))) if len(tones) else float("nan"),
        pitch_slope_st=float(np.median(tones[-third:]) - np.median(tones[:third])) if len(tones) else float("nan"),
        loudness_db=float(spoken.mean()),
        loudness_range_db=float(np.ptp(np.percentile(spoken, [10, 90]))),
        voiced_share=float(np.isfinite(pitch).mean()),
        pause_share=float(1 - active.mean()),
        bursts_per_s=float(np.sum(peaks) / max(count * HOP_S, 0.1)),
        periodicity=float(clear[active].mean()) if active.any() else 0.0,
        tilt_db=float(10 * np.log10((spectrum[edge:].sum() + 1e-9) / (spectrum[:edge].sum() + 1e-9))),
        seconds=len(audio) / AUDIO_HZ,
    )


def mean_prosody(parts: Sequence[Prosody]) -> Prosody:
    """Of several stretches of one voice, each by its length; what is not a number in one is left to the others."""
    if len(parts) == 1:
        return parts[0]
    weights = np.array([p.seconds for p in parts])

    def mean(name: str) -> float:
        values = np.array([getattr(p, name) for p in parts])
        known = np.isfinite(values)
        return float(np.average(values[known], weights=weights[known])) if known.any() else float("nan")

    means = {f.name: mean(f.name) for f in fields(Prosody) if f.name != "seconds"}
    return Prosody(**means, seconds=float(weights.sum()))
