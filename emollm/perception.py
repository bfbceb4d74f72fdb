"""A file to one Analysis: everything that is measured in a clip, measured once and cached by content.

Pictures and sound are worked on at the same time (`watch`, `listen`); this module joins them. It runs frozen encoders and knows nothing of
language models or prompts.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emollm.encoders import cues
from emollm.encoders.base import Backbone
from emollm.encoders.explain import Explanation, explain_face
from emollm.encoders.face import EXPRESSIONS, FaceEncoder
from emollm.encoders.scene import SceneEncoder
from emollm.encoders.speaking import speakers
from emollm.encoders.units import UnitEncoder
from emollm.encoders.voice import VoiceEncoder
from emollm.listen import Listened, Listener, Speech
from emollm.media.ahead import ahead
from emollm.media.decode import DEFAULT_LIMITS, Film, Limits, Opener, Reel, digest_of
from emollm.media.leading import lead_order
from emollm.media.tracks import FaceTracker
from emollm.motion import motions
from emollm.sights import SIGHT_PX, look_at, sense
from emollm.values import Analysis, Clip, FaceReading, Features, Floats, VoiceReading
from emollm.watch import CloseUp, Keepsakes, Watched, WatchedFace, Watcher

Progress = Callable[[float, str], None]
STRETCHES = 4  # most face tokens of a clip
SCENE_FRAMES = 3
CLOSE_UP = 0.35  # a face that fills this share of the picture leaves no scene to speak of
LEAST_STRETCH_S = 0.5
MOST_BLOCKS = 600


class Perception:
    """All encoders of a system, ready to analyse. Safe to call from several threads: calls wait for one another."""

    def __init__(
        self,
        *,
        face: FaceEncoder,
        units: UnitEncoder | None = None,
        voice: VoiceEncoder,
        scene: SceneEncoder | None,
        speech: Speech | None,
        tracker: FaceTracker | None,
        limits: Limits = DEFAULT_LIMITS,
        keep: int = 16,
        transcribe: bool = True,
        backbones: Mapping[str, Backbone] | None = None,
    ) -> None:
        self._backbones = dict(backbones or {})
        self._face, self._units, self._scene = face.eval(), units.eval() if units is not None else None, scene
        self._listener = Listener(voice.eval(), speech, transcribe=transcribe)
        self._tracker = tracker
        self._limits = limits
        self._keep = keep
        self._cache: OrderedDict[str, Analysis] = OrderedDict()
        self._lock = threading.Lock()
        self.opened: Opener = Reel  # how files are opened; a server has them decoded in another process
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
            analysis, _ = self._measure(self.opened(path, self._limits), progress)
            self._cache[digest] = analysis
            while len(self._cache) > self._keep:
                self._cache.popitem(last=False)
            return analysis

    def look(self, path: Path, progress: Progress | None = None) -> tuple[Analysis, Keepsakes]:
        """Measure a clip and keep nothing: what was measured, and small pictures of the clip and its faces.

        Raises:
            MediaError: If the file cannot be read.
        """
        with self._lock:
            return self._measure(self.opened(path, self._limits), progress)

    def explain(self, close_up: CloseUp, label: str | None = None) -> Explanation:
        """Which parts of a face carried a label; the leading one if None."""
        with self._lock:
            return explain_face(self._face, close_up.crop, close_up.points, label)

    def forget(self, digest: str) -> None:
        """Drop what is kept of a clip."""
        with self._lock:
            self._cache.pop(digest, None)

    def measure(self, clip: Clip) -> Analysis:
        """Measure a decoded clip; nothing is cached."""
        with self._lock:
            return self._measure(_Shown(clip), None)[0]

    @torch.inference_mode()
    def _measure(self, source: Film | _Shown, progress: Progress | None) -> tuple[Analysis, Keepsakes]:
        report = progress or (lambda share, what: None)
        self.encoded += 1
        timings: dict[str, float] = {}
        with ThreadPoolExecutor(1) as pool:  # the sound on one core, the picture on another
            heard: dict[str, float] = {"share": 0.0}
            listening = pool.submit(self._listen, source.audio, timings, heard) if source.audio is not None else None
            watched = self._watch(source, timings, report)
            listened = _waited(listening, heard, report) if listening is not None else Listened()
        order, voice = self._cast(watched, listened.voice)
        cast = [watched.faces[k] for k in order]
        faces = [_moving(face_reading(face), who, voice, alone=len(cast) == 1) for who, face in enumerate(cast)]
        features: dict[str, Features] = {}
        if faces:
            features["face"] = faces[0][1]
        if listened.features is not None:
            features["voice"] = listened.features
        began = time.perf_counter()
        if self._scene is not None and watched.glimpses and not _close_up(watched, faces):
            picks = np.unique(np.linspace(0, len(watched.glimpses) - 1, SCENE_FRAMES).round().astype(int))
            seen = self._scene(self._scene.prepare([watched.glimpses[i].image for i in picks])).mean(0)
            features["scene"] = _features(seen[None])
        timings["scene"] = time.perf_counter() - began
        if self._backbones:
            began = time.perf_counter()
            main = cast[0].track if cast else None
            features |= sense(self._backbones, look_at(watched.pictures, main, source.audio, voice.spans_s if voice is not None else ()))
            timings["backbones"] = time.perf_counter() - began
        report(1.0, "done")
        analysis = Analysis(
            name=source.name,
            kind=source.kind,
            digest=source.digest,
            duration_s=source.duration_s,
            faces=tuple(f for f, _ in faces),
            voice=voice,
            words=listened.words,
            missing=_missing(source, watched, listened),
            features=features,
            timings_s=timings,
            warnings=(*source.warnings, *_crowded(watched, self._tracker)),
        )
        return analysis, Keepsakes(watched.glimpses, tuple(face.close_ups for face in cast))

    def _listen(self, audio: Floats, timings: dict[str, float], heard: dict[str, float]) -> Listened:
        began = time.perf_counter()
        listened = self._listener(audio, lambda share: heard.update(share=share))
        timings["speech"] = time.perf_counter() - began
        return listened

    def _watch(self, source: Film | _Shown, timings: dict[str, float], report: Progress) -> Watched:
        timings |= {"decode": 0.0, "faces": 0.0}
        watcher = Watcher(self._face, self._units, self._tracker, SIGHT_PX if self._backbones else 0)
        report(0.0, "reading the clip")
        mark = time.perf_counter()
        with closing(ahead(source.frames())) as frames:
            for number, (time_s, image) in enumerate(frames):
                now = time.perf_counter()
                timings["decode"] += now - mark
                watcher.see(time_s, image)
                mark = time.perf_counter()
                timings["faces"] += mark - now
                report(min(0.7, 0.7 * (number + 1) / max(1, source.expected)), "following faces")
        watched = watcher.finish()
        timings["faces"] += time.perf_counter() - mark
        return watched

    def _cast(self, watched: Watched, voice: VoiceReading | None) -> tuple[list[int], VoiceReading | None]:
        """Indexes of people with the main character first, and who of them, in that order, speaks in each stretch of speech."""
        tracks = [face.track for face in watched.faces]
        spans = voice.spans_s if voice is not None else ()
        spoken = speakers(tracks, spans)
        order = lead_order(
            tracks,
            watched.frames,
            watched.size,
            sharpness=[face.sharpness for face in watched.faces],
            speaking=[
                _while(track.times_s, [s for s, who in zip(spans, spoken, strict=True) if who == k]) for k, track in enumerate(tracks)
            ],
        )
        place = {k: n for n, k in enumerate(order)}
        if voice is not None:
            voice = replace(voice, speakers=tuple(place[who] if who is not None else None for who in spoken))
        return order, voice


class _Shown:
    """A decoded clip in the shape of a reel."""

    def __init__(self, clip: Clip) -> None:
        self.name, self.kind, self.digest, self.duration_s = clip.name, clip.kind, clip.digest, clip.duration_s
        self.audio, self.warnings, self.expected = clip.audio, clip.warnings, len(clip.frames)
        self._clip = clip

    def frames(self) -> Iterable[tuple[float, NDArray[np.uint8]]]:
        """Times and pictures."""
        return zip(self._clip.times_s.tolist(), self._clip.frames, strict=True)


def _waited(listening: Future[Listened], heard: dict[str, float], report: Progress) -> Listened:
    """The result of the other thread; progress is told from this one, since not every display may be touched from several."""
    while True:
        try:
            return listening.result(timeout=0.2)
        except TimeoutError:
            if listening.done():  # the work itself timed out
                raise
            report(0.7 + 0.25 * heard["share"], "listening")


def _missing(source: Film | _Shown, watched: Watched, listened: Listened) -> dict[str, str]:
    """For each absent modality why, in words for the user."""
    found: dict[str, str] = {}
    if not watched.frames:
        found["face"] = "there is no picture"
    elif not watched.faces:
        still = source.kind == "image"
        found["face"] = "no face was found in the picture" if still else f"no face was found in {watched.frames} frames"
    if source.audio is None:
        found["voice"] = found["words"] = "a still picture has no sound" if source.kind == "image" else "there is no sound"
    elif listened.voice is None:
        found["voice"] = found["words"] = "no speech was found in the sound"
    elif listened.words is None:
        found["words"] = "no words could be made out"
    return found


def _crowded(watched: Watched, tracker: FaceTracker | None) -> tuple[str, ...]:
    if tracker is None or watched.crowd <= tracker.most:
        return ()
    return (f"faces_capped: {watched.crowd} faces at once; the {tracker.most} largest are followed",)


def _while(times_s: Floats, spans: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    inside = np.zeros(len(times_s), bool)
    for begin, end in spans:
        inside |= (times_s >= begin) & (times_s <= end)
    return inside


def face_reading(face: WatchedFace) -> tuple[FaceReading, Features]:
    """One person's reading, and the tokens of at most four stretches of like expression."""
    bounds = face_bounds(face.track.times_s, face.scores)
    words = tuple(cues.face_cues({name: values[a:b] for name, values in face.measures.items()}) for a, b in bounds)
    reading = FaceReading(
        track=face.track,
        labels=EXPRESSIONS,
        scores=face.scores,
        cues=tuple(dict.fromkeys(w for ws in words for w in ws)),
        pose=face.pose,
        units=face.units,
        condition=face.condition,
    )
    pooled = torch.stack([face.tokens[a:b].mean(0) for a, b in bounds])
    return reading, _features(pooled, tuple(float(face.track.times_s[a]) for a, _ in bounds), words)


def _moving(read: tuple[FaceReading, Features], who: int, voice: VoiceReading | None, *, alone: bool) -> tuple[FaceReading, Features]:
    """A reading with what the face does; speech that no mouth goes with is taken for the only person's."""
    spoken = zip(voice.spans_s, voice.speakers or (None,) * len(voice.spans_s), strict=True) if voice is not None else ()
    mine = [span for span, speaker in spoken if speaker == who or (speaker is None and alone)]
    return replace(read[0], motions=motions(read[0], mine)), read[1]


def face_bounds(times_s: Floats, scores: Floats) -> list[tuple[int, int]]:
    """Cut a track into at most four stretches of like expression: neighbours most alike are joined first.

    Returns:
        Half-open index ranges that cover the track.
    """
    block = -(-len(scores) // MOST_BLOCKS)  # neighbours of a long track are joined unseen, else the work grows with its square
    bounds = [(i, min(i + block, len(scores))) for i in range(0, len(scores), block)]
    roots = [np.sqrt(scores[a:b]).mean(0) for a, b in bounds]

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


def _features(tokens: Tensor, marks_s: tuple[float, ...] = (), words: tuple[tuple[str, ...], ...] = ()) -> Features:
    return Features(tokens[None], torch.ones(1, len(tokens), dtype=torch.bool), marks_s=marks_s, cues=words)


def _close_up(watched: Watched, faces: list[Any]) -> bool:
    if not faces:
        return False
    height, width = watched.size
    boxes = faces[0][0].track.boxes
    return float(np.median(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))) > CLOSE_UP * height * width
