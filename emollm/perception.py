"""A file to one Analysis: everything that is measured in a clip, measured once and cached by content.

It runs frozen encoders and knows nothing of language models or prompts.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from emollm.encoders import cues
from emollm.encoders.face import CROP_PX, EXPRESSIONS, FaceEncoder
from emollm.encoders.prosody import Prosody, measure, speech_spans
from emollm.encoders.scene import SceneEncoder
from emollm.encoders.speaking import speakers
from emollm.encoders.speech import LAYERS_HZ, Heard
from emollm.encoders.voice import EMOTIONS, VoiceEncoder
from emollm.media.align import crop_face, normalise_landmarks
from emollm.media.decode import DEFAULT_LIMITS, Limits, decode_clip, digest_of
from emollm.media.pose import head_pose
from emollm.media.tracks import FaceTracker
from emollm.values import AUDIO_HZ, Analysis, Clip, FaceReading, FaceTrack, Features, Floats, Transcript, VoiceReading

Progress = Callable[[float, str], None]
STRETCHES = 4  # most face or voice tokens of a clip
VOICE_STRETCH_S = 4.0
SCENE_FRAMES = 3
CLOSE_UP = 0.35  # a face that fills this share of the picture leaves no scene to speak of
LEAST_STRETCH_S = 0.5
FEW_FRAMES = 4  # a face seen in so few frames is encoded with its mirror image as well


class Speech(Protocol):
    """What hears: `Whisper`, or a stand-in."""

    def hear(
        self, audio: Floats, spans_s: tuple[tuple[float, float], ...], *, transcribe: bool, progress: Callable[[float], None] | None = None
    ) -> Heard:
        """Encode a sound once and write down its words."""
        ...


class Perception:
    """All encoders of a system, ready to analyse. Safe to call from several threads: calls wait for one another."""

    def __init__(
        self,
        *,
        face: FaceEncoder,
        voice: VoiceEncoder,
        scene: SceneEncoder | None,
        speech: Speech | None,
        tracker: FaceTracker | None,
        limits: Limits = DEFAULT_LIMITS,
        keep: int = 16,
        transcribe: bool = True,
    ) -> None:
        self._face, self._voice = face.eval(), voice.eval()
        self._scene, self._speech = scene, speech
        self._tracker = tracker
        self._limits = limits
        self._keep = keep
        self._transcribe = transcribe
        self._cache: OrderedDict[str, Analysis] = OrderedDict()
        self._lock = threading.Lock()
        self.encoded = 0  # clips really encoded, not served from the cache

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """Measure a clip, or return what was measured in the same bytes before.

        Raises:
            MediaError: If the file cannot be read.
        """
        digest = digest_of(path)
        with self._lock:
            if digest in self._cache:
                self._cache.move_to_end(digest)
                return self._cache[digest]
            began = time.perf_counter()
            report = progress or (lambda share, what: None)
            report(0.0, "reading the clip")
            clip = decode_clip(path, self._limits)
            analysis = self.measure(clip, report, decode_s=time.perf_counter() - began)
            self._cache[digest] = analysis
            while len(self._cache) > self._keep:
                self._cache.popitem(last=False)
            return analysis

    def look(self, path: Path) -> tuple[Clip, Analysis]:
        """Measure a clip and keep nothing: the decoded clip and what was measured in it.

        Raises:
            MediaError: If the file cannot be read.
        """
        began = time.perf_counter()
        clip = decode_clip(path, self._limits)
        with self._lock:
            return clip, self.measure(clip, decode_s=time.perf_counter() - began)

    def forget(self, digest: str) -> None:
        """Drop what is kept of a clip."""
        with self._lock:
            self._cache.pop(digest, None)

    @torch.inference_mode()
    def measure(self, clip: Clip, progress: Progress | None = None, *, decode_s: float = 0.0) -> Analysis:
        """Measure a decoded clip; nothing is cached."""
        report = progress or (lambda share, what: None)
        self.encoded += 1
        timings = {"decode": decode_s}
        features: dict[str, Features] = {}
        missing: dict[str, str] = {}

        began = time.perf_counter()
        tracks: tuple[FaceTrack, ...] = ()
        if self._tracker is not None and len(clip.frames):
            tracks = self._tracker(clip, lambda share: report(0.1 + 0.4 * share, "following faces"))
        faces = tuple(self._read_face(clip, track) for track in tracks)
        if faces:
            features["face"] = faces[0][1]
        elif clip.kind == "audio":
            missing["face"] = "there is no picture"
        else:
            missing["face"] = (
                "no face was found in the picture" if clip.kind == "image" else f"no face was found in {len(clip.frames)} frames"
            )
        timings["faces"] = time.perf_counter() - began

        began = time.perf_counter()
        voice: VoiceReading | None = None
        words: Transcript | None = None
        if clip.audio is None:
            missing["voice"] = missing["words"] = "a still picture has no sound" if clip.kind == "image" else "there is no sound"
        else:
            report(0.5, "listening")
            spans = speech_spans(clip.audio)
            if spans and self._speech is not None:
                heard = self._speech.hear(
                    clip.audio, spans, transcribe=self._transcribe, progress=lambda share: report(0.5 + 0.35 * share, "listening")
                )
                voice, features["voice"] = self._read_voice(clip.audio, spans, heard.layers)
                voice = replace(voice, speakers=speakers(tracks, spans))
                words = heard.transcript
                if words is None:
                    missing["words"] = "no words could be made out"
            else:
                missing["voice"] = missing["words"] = "no speech was found in the sound"
        timings["speech"] = time.perf_counter() - began

        began = time.perf_counter()
        if self._scene is not None and len(clip.frames) and not _close_up(clip, tracks):
            report(0.9, "looking at the scene")
            picks = np.unique(np.linspace(0, len(clip.frames) - 1, SCENE_FRAMES).round().astype(int))
            seen = self._scene(self._scene.prepare(clip.frames[picks])).mean(0)
            features["scene"] = _features(seen[None])
        timings["scene"] = time.perf_counter() - began
        report(1.0, "done")
        return Analysis(
            name=clip.name,
            kind=clip.kind,
            digest=clip.digest,
            duration_s=clip.duration_s,
            faces=tuple(f for f, _ in faces),
            voice=voice,
            words=words,
            missing=missing,
            features=features,
            timings_s=timings,
            warnings=clip.warnings,
        )

    def _read_face(self, clip: Clip, track: FaceTrack) -> tuple[FaceReading, Features]:
        crops = np.stack(
            [
                cv2.cvtColor(crop_face(clip.frames[i], p, CROP_PX), cv2.COLOR_RGB2GRAY)
                for i, p in zip(track.index, track.landmarks, strict=True)
            ]
        )
        points = np.stack([normalise_landmarks(p) for p in track.landmarks])
        encode = self._face.both_ways if len(crops) <= FEW_FRAMES else self._face
        tokens = torch.cat(
            [encode(torch.from_numpy(crops[i : i + 32]), torch.from_numpy(points[i : i + 32])) for i in range(0, len(crops), 32)]
        )
        scores = self._face.expressions(tokens).softmax(1).numpy()
        reading, features = face_reading(track, tokens, scores, points)
        units = self._face.units(tokens).sigmoid().numpy() if self._face.has_units else None
        return replace(reading, pose=head_pose(track.landmarks), units=units), features

    def _read_voice(self, audio: Floats, spans: tuple[tuple[float, float], ...], layers: Tensor) -> tuple[VoiceReading, Features]:
        stretches = voice_stretches(spans)
        prosody = [measure(audio[round(a * AUDIO_HZ) : round(b * AUDIO_HZ)]) for a, b in stretches]
        tokens = voice_tokens(self._voice, layers, stretches, prosody)
        scores = self._voice.probabilities(tokens).numpy()
        seconds = np.array([b - a for a, b in stretches])
        whole = measure(audio[round(spans[0][0] * AUDIO_HZ) : round(spans[-1][1] * AUDIO_HZ)]) if len(stretches) > 1 else prosody[0]
        reading = VoiceReading(
            spans_s=spans,
            labels=EMOTIONS,
            scores=(scores * seconds[:, None]).sum(0) / seconds.sum(),
            pitch_hz=whole.pitch_hz,
            pitch_range_st=whole.pitch_range_st,
            loudness_db=whole.loudness_db,
            cues=cues.voice_cues(whole),
        )
        return reading, _features(tokens, tuple(a for a, _ in stretches), tuple(cues.voice_cues(p) for p in prosody))


def face_reading(track: FaceTrack, tokens: Tensor, scores: Floats, points: Floats) -> tuple[FaceReading, Features]:
    """Frame tokens [n, 256], scores [n, C] and landmarks [n, 468, 3] of one track to its reading and its stretch tokens."""
    bounds = face_bounds(track.times_s, scores)
    pooled, words = [], []
    for a, b in bounds:
        pooled.append(tokens[a:b].mean(0))
        words.append(cues.face_cues(points[a:b]))
    reading = FaceReading(track=track, labels=EXPRESSIONS, scores=scores, cues=tuple(dict.fromkeys(w for ws in words for w in ws)))
    return reading, _features(torch.stack(pooled), tuple(float(track.times_s[a]) for a, _ in bounds), tuple(words))


def face_bounds(times_s: Floats, scores: Floats) -> list[tuple[int, int]]:
    """Cut a track into at most four stretches of like expression: neighbours most alike are joined first.

    Returns:
        Half-open index ranges that cover the track.
    """
    bounds = [(i, i + 1) for i in range(len(scores))]
    roots = [np.sqrt(scores[i]) for i in range(len(scores))]

    def cost(i: int) -> float:
        (a, b), (_, c) = bounds[i], bounds[i + 1]
        m, n = b - a, c - b
        return float(m * n / (m + n) * np.square(roots[i] - roots[i + 1]).sum())  # Ward: large stretches merge last

    costs = [cost(i) for i in range(len(bounds) - 1)]
    step = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    while costs:
        i = int(np.argmin(costs))
        short = min(b - a for a, b in bounds[i : i + 2]) * step < LEAST_STRETCH_S
        if len(bounds) <= STRETCHES and costs[i] > 0.15 and not short:
            brief = [k for k in range(len(costs)) if min(b - a for a, b in bounds[k : k + 2]) * step < LEAST_STRETCH_S]
            if not brief:
                break
            i = min(brief, key=costs.__getitem__)
        (a, b), (_, c) = bounds[i], bounds[i + 1]
        roots[i] = ((b - a) * roots[i] + (c - b) * roots[i + 1]) / (c - a)
        bounds[i] = (a, c)
        del bounds[i + 1], roots[i + 1], costs[i]
        for k in (i - 1, i):
            if 0 <= k < len(costs):
                costs[k] = cost(k)
    return bounds


def voice_stretches(spans: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """Join or cut spans of speech to at most four stretches of about four seconds."""
    start, end = spans[0][0], spans[-1][1]
    count = int(np.clip(round((end - start) / VOICE_STRETCH_S), 1, STRETCHES))
    edges = np.linspace(start, end, count + 1)
    for i in range(1, count):  # move each cut into the nearest pause, if one is near
        gaps = [(a[1] + b[0]) / 2 for a, b in itertools.pairwise(spans)]
        near = [g for g in gaps if abs(g - edges[i]) < VOICE_STRETCH_S / 3]
        if near:
            edges[i] = min(near, key=lambda g: abs(g - edges[i]))
    return [(round(float(a), 2), round(float(b), 2)) for a, b in itertools.pairwise(edges) if b - a > 0.1] or [(start, end)]


def voice_tokens(encoder: VoiceEncoder, layers: Tensor, stretches: list[tuple[float, float]], prosody: list[Prosody]) -> Tensor:
    """Hidden layers [layers, N, D_enc] of the whole sound to one token for each stretch, [n, 256]."""
    tokens = []
    for (a, b), measures in zip(stretches, prosody, strict=True):
        first = min(int(a * LAYERS_HZ), layers.shape[1] - 2)
        last = max(first + 2, int(np.ceil(b * LAYERS_HZ)))
        piece = layers[None, :, first:last].float()
        mask = torch.ones(1, piece.shape[2], dtype=torch.bool)
        tokens.append(encoder(piece, mask, torch.from_numpy(measures.vector())[None])[0])
    return torch.stack(tokens)


def _features(tokens: Tensor, marks_s: tuple[float, ...] = (), words: tuple[tuple[str, ...], ...] = ()) -> Features:
    return Features(tokens[None], torch.ones(1, len(tokens), dtype=torch.bool), marks_s=marks_s, cues=words)


def _close_up(clip: Clip, tracks: tuple[FaceTrack, ...]) -> bool:
    if not tracks:
        return False
    height, width = clip.frames.shape[1:3]
    boxes = tracks[0].boxes
    return float(np.median(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))) > CLOSE_UP * height * width
