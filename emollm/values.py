"""The nouns every room shares, as frozen values, and the legend of shape letters.

Shape letters: B batch, T frames, F faces, N encoder tokens, K projected tokens, L text length, S audio samples, D width (D_enc, D_llm),
C classes, P landmark points. Times are seconds from the start of the clip, boxes are (left, top, right, bottom) in pixels of `Clip.frames`.
This module knows no library but numpy; tensors appear here in type annotations only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[Any]  # of floating type; float32 and float64 mix freely, which the stricter type cannot say
Ints = NDArray[np.integer]
Modality = Literal["face", "voice", "words"]
MODALITIES: tuple[Modality, ...] = ("face", "voice", "words")
AUDIO_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Clip:
    """All that encoders may look at: upright sampled frames with their times, and mono sound."""

    name: str  # for messages to the user only; never logged
    kind: Literal["video", "audio", "image"]  # decided by content
    digest: str  # sha256 of the file's bytes
    duration_s: float  # of what was decoded
    frames: NDArray[np.uint8]  # [T, H, W, 3] RGB, upright; T = 0 when there is no picture
    times_s: Floats  # [T]
    audio: Floats | None  # [S] float32 in [-1, 1], 16 kHz mono; None when there is no sound
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """One person's face over time; `index` says in which frames of the clip it was seen."""

    index: Ints  # [n] into Clip.frames
    times_s: Floats  # [n]
    boxes: Floats  # [n, 4]
    landmarks: Floats  # [n, 468, 3], pixels; z on the scale of x
    irises: Floats  # [n, 2, 3]: centre x, y and radius in pixels; subject's right eye first; NaN where not looked for
    scores: Floats  # [n] face presence in [0, 1]


@dataclass(frozen=True, slots=True)
class Motion:
    """One movement of a face, a head or its eyes."""

    start_s: float
    peak_s: float
    end_s: float
    name: str  # a facial unit without its side, or "nod", "turn left", "glance right", ...
    side: str  # "left" or "right" of the person where one side moves clearly more, else ""
    strength: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class FaceReading:
    """What one tracked face shows over time."""

    track: FaceTrack
    labels: tuple[str, ...]  # C expression names
    scores: Floats  # [n, C] per frame, rows sum to 1
    cues: tuple[str, ...]  # plain words for measured geometry, e.g. "mouth corners raised"
    pose: Floats | None = None  # [n, 3] yaw, pitch, roll in degrees; see `media.pose`
    units: Floats | None = None  # [n, 52] facial units, 0 to 1, in the order of `units.UNITS`; None where the encoder has not learned them
    condition: Floats | None = None  # [n, 3] strength of the expression, share hidden, sharpness, each 0 to 1
    motions: tuple[Motion, ...] = ()  # by begin; empty where frames lie too far apart to tell


@dataclass(frozen=True, slots=True)
class VoiceCurve:
    """Melody and loudness of the whole sound, ten values a second."""

    times_s: Floats  # [T]
    pitch_hz: Floats  # [T] NaN where unvoiced
    level_db: Floats  # [T] re full scale


@dataclass(frozen=True, slots=True)
class VoiceReading:
    """How the voice sounds; present only where speech was found."""

    spans_s: tuple[tuple[float, float], ...]  # stretches of speech
    labels: tuple[str, ...]
    scores: Floats  # [C], sums to 1
    pitch_hz: float  # median of voiced frames; NaN when unvoiced
    pitch_range_st: float  # 10th to 90th percentile, semitones
    loudness_db: float  # of speech, relative to full scale
    cues: tuple[str, ...]  # e.g. "high pitch"
    speakers: tuple[int | None, ...] = ()  # index of the face that speaks in each span; None where no mouth clearly moves with it
    pieces_s: tuple[tuple[float, float], ...] = ()  # stretches of about four seconds that were judged one by one
    piece_scores: Floats | None = None  # [k, C] of each piece, rows sum to 1
    dimensions: Floats | None = None  # [k, 3] arousal, valence, dominance of each piece, -1 to 1
    curve: VoiceCurve | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a transcript."""

    start_s: float
    end_s: float
    text: str
    probability: float  # that the recogniser gave to its letters


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of transcript."""

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    scores: Mapping[str, float] = field(
        default_factory=dict
    )  # of emotions, as the language model reads the words; empty if it was not asked


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, as heard by the recogniser."""

    language: str  # ISO 639-1
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """All segments as one line."""
        return " ".join(s.text.strip() for s in self.segments).strip()


@dataclass(frozen=True, slots=True)
class Features:
    """Tokens of one stream before projection."""

    tokens: Tensor  # [B, N, D_enc]
    mask: Tensor  # [B, N] bool, True = real
    depths: Mapping[str, Tensor] = field(default_factory=dict)  # taps at other layers, each [B, N, D_enc]
    marks_s: tuple[float, ...] = ()  # [N] when each token's stretch begins, for B = 1
    cues: tuple[tuple[str, ...], ...] = ()  # [N] plain words measured in each stretch


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything measured in one clip, once. The model, the app, the server and the exports all read this value."""

    name: str
    kind: Literal["video", "audio", "image"]
    digest: str
    duration_s: float
    faces: tuple[FaceReading, ...]  # main character first; empty is normal
    voice: VoiceReading | None
    words: Transcript | None
    missing: Mapping[str, str]  # modality -> why it is absent, in words for the user
    features: Mapping[str, Features]  # stream name -> features with B = 1; an absent stream has no entry
    timings_s: Mapping[str, float]  # decode, faces, speech, encode
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Clips are paths to local files; a text-only message has none."""

    role: Literal["system", "user", "assistant"]
    text: str
    clips: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is drawn. Temperature 0 is greedy and deterministic."""

    max_new_tokens: int = 200
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    repetition_penalty: float = 1.1
    sentence_penalty: float = 8.0  # by how much a sentence of an earlier answer is less likely, where no clip is talked about; 1 is off
    schema: str | None = None  # JSON text of a JSON schema that the reply must follow; None for free text
    logprobs: int = 0  # how many of the likeliest tokens are told with each token written
    deadline_s: float | None = None  # from the call to the last token; beyond it the reply ends with an error


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one reply; `prompt_tokens` includes media positions."""

    prompt_tokens: int
    completion_tokens: int
