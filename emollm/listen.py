"""The sound half of perception: melody, stretches of speech, how each sounds, and the words, from one pass of the speech encoder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from emollm.encoders import cues
from emollm.encoders.prosody import HOP_S, Curve, Prosody, mean_prosody, measure, speech_spans
from emollm.encoders.speech import LAYERS_HZ, Window
from emollm.encoders.voice import EMOTIONS, VoiceEncoder
from emollm.processor import give_back_memory
from emollm.values import AUDIO_HZ, Features, Floats, Segment, Transcript, VoiceCurve, VoiceReading

Span = tuple[float, float]
PIECE_S = 4.0
TOKENS = 4  # most voice tokens of a clip
CURVE_S = 0.1


class Speech(Protocol):
    """What hears: `Whisper`, or a stand-in."""

    def windows(
        self, audio: Floats, spans_s: tuple[Span, ...], *, transcribe: bool = True, language: str | None = None
    ) -> Iterator[Window]:
        """Encode a sound once, window by window, and write down its words."""
        ...


@dataclass(frozen=True, slots=True)
class Listened:
    """What remains of a clip's sound; None where there is no speech, and no words."""

    voice: VoiceReading | None = None
    words: Transcript | None = None
    features: Features | None = None


class Listener:
    """Encoders of sound, ready to listen."""

    def __init__(self, voice: VoiceEncoder, speech: Speech | None, *, transcribe: bool = True) -> None:
        self._voice, self._speech, self._transcribe = voice, speech, transcribe

    @torch.inference_mode()
    def __call__(self, audio: Floats, progress: Callable[[float], None] | None = None) -> Listened:
        """Listen to a whole sound, [S] at 16 kHz."""
        curve = Curve.of(audio)
        spans = speech_spans(audio, curve)
        if not spans or self._speech is None:
            return Listened()
        pieces: list[_Piece] = []
        segments: list[Segment] = []
        language: str | None = None
        for window in self._speech.windows(audio, spans, transcribe=self._transcribe):
            inside = tuple((max(a, window.start_s), min(b, window.end_s)) for a, b in spans if a < window.end_s and b > window.start_s)
            if inside:
                pieces += [self._piece(audio, curve, window, stretch) for stretch in voice_stretches(inside)]
            segments += window.segments
            language = language or window.language
            give_back_memory()
            if progress is not None:
                progress(window.end_s * AUDIO_HZ / len(audio))
        if not pieces:
            return Listened()
        words = Transcript(language, tuple(segments)) if segments and language else None
        return Listened(self._reading(spans, pieces, curve), words, _tokens(pieces))

    def _piece(self, audio: Floats, curve: Curve, window: Window, span: Span) -> _Piece:
        prosody = measure(audio[round(span[0] * AUDIO_HZ) : round(span[1] * AUDIO_HZ)], curve.part(*span))
        first = min(int((span[0] - window.start_s) * LAYERS_HZ), max(0, window.layers.shape[1] - 2))
        last = max(first + 2, int(np.ceil((span[1] - window.start_s) * LAYERS_HZ)))
        layers = window.layers[None, :, first:last].float()
        mask = torch.ones(1, layers.shape[2], dtype=torch.bool)
        return _Piece(span, self._voice(layers, mask, torch.from_numpy(prosody.vector())[None])[0], prosody)

    def _reading(self, spans: tuple[Span, ...], pieces: list[_Piece], curve: Curve) -> VoiceReading:
        tokens = torch.stack([p.token for p in pieces])
        scores = self._voice.probabilities(tokens).numpy()
        seconds = np.array([b - a for a, b in (p.span for p in pieces)])
        whole = mean_prosody([p.prosody for p in pieces])
        return VoiceReading(
            spans_s=spans,
            labels=EMOTIONS,
            scores=(scores * seconds[:, None]).sum(0) / seconds.sum(),
            pitch_hz=whole.pitch_hz,
            pitch_range_st=whole.pitch_range_st,
            loudness_db=whole.loudness_db,
            cues=cues.voice_cues(whole),
            pieces_s=tuple(p.span for p in pieces),
            piece_scores=scores,
            dimensions=self._voice.dimensions(tokens).clamp(-1, 1).numpy(),
            curve=thin(curve),
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of about four seconds of speech."""

    span: Span
    token: Tensor  # [256]
    prosody: Prosody


def _tokens(pieces: list[_Piece]) -> Features:
    """At most `TOKENS` tokens for the language model: the pieces of a long clip are averaged in runs."""
    runs = [[pieces[i] for i in run] for run in np.array_split(np.arange(len(pieces)), min(len(pieces), TOKENS))]
    tokens = torch.stack([torch.stack([p.token for p in run]).mean(0) for run in runs])
    return Features(
        tokens[None],
        torch.ones(1, len(tokens), dtype=torch.bool),
        marks_s=tuple(run[0].span[0] for run in runs),
        cues=tuple(cues.voice_cues(mean_prosody([p.prosody for p in run])) for run in runs),
    )


def voice_stretches(spans: tuple[Span, ...]) -> list[Span]:
    """Join or cut spans of speech to stretches of about four seconds."""
    start, end = spans[0][0], spans[-1][1]
    count = max(1, round((end - start) / PIECE_S))
    edges = np.linspace(start, end, count + 1)
    for i in range(1, count):  # move each cut into the nearest pause, if one is near
        gaps = [(a[1] + b[0]) / 2 for a, b in itertools.pairwise(spans)]
        near = [g for g in gaps if abs(g - edges[i]) < PIECE_S / 3]
        if near:
            edges[i] = min(near, key=lambda g: abs(g - edges[i]))
    return [(round(float(a), 2), round(float(b), 2)) for a, b in itertools.pairwise(edges) if b - a > 0.1] or [(start, end)]


def thin(curve: Curve) -> VoiceCurve:
    """Ten values a second: the loudest level and the median pitch of each tenth."""
    every = round(CURVE_S / HOP_S)
    count = max(1, len(curve.level_db) // every)
    levels = curve.level_db[: count * every].reshape(count, -1).max(1)
    pitch = curve.pitch_hz[: count * every].reshape(count, -1)
    voiced = np.isfinite(pitch).any(1)
    middle = np.full(count, np.nan)
    middle[voiced] = np.nanmedian(pitch[voiced], 1)
    return VoiceCurve(np.arange(count) * CURVE_S, middle, levels)
