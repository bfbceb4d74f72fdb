"""Measured geometry of a face and measured prosody to a few plain words, and only where a measure is clearly unusual.

Cues are observations ("mouth open"), never emotions. Thresholds: 10th and 90th percentile of faces that people called neutral
(FER+ train, aligned by this package), and for the voice of neutral and calm speech (RAVDESS, EmoTale, EmoDB train).
"""

from __future__ import annotations

import numpy as np

from emollm.encoders.prosody import Prosody
from emollm.values import Floats

# Mesh points: mouth corners, inner lips, brow middles and inner ends, lids, eye corners.
_CORNERS, _LIPS = (61, 291), (13, 14)
_BROWS, _INNER_BROWS = (105, 334), (107, 336)
_LIDS = ((159, 145), (386, 374))
_EYES = ((33, 133), (263, 362))


def face_measures(points: Floats) -> dict[str, Floats]:
    """Ratios to the distance of the outer eye corners, from normalised landmarks [n, 468, 3]; each [n]."""
    xy = points[..., :2]

    def gap(a: int, b: int) -> Floats:
        return np.linalg.norm(xy[:, a] - xy[:, b], axis=-1)

    unit = gap(33, 263)
    middle = (xy[:, 13, 1] + xy[:, 14, 1]) / 2
    eye_y = [(xy[:, a, 1] + xy[:, b, 1]) / 2 for a, b in _EYES]
    return {
        "corner_lift": (middle - (xy[:, 61, 1] + xy[:, 291, 1]) / 2) / unit,
        "mouth_width": gap(*_CORNERS) / unit,
        "mouth_open": gap(*_LIPS) / unit,
        "brow_height": np.mean([(eye - xy[:, brow, 1]) / unit for eye, brow in zip(eye_y, _BROWS, strict=True)], axis=0),
        "inner_brow_height": np.mean([(eye - xy[:, brow, 1]) / unit for eye, brow in zip(eye_y, _INNER_BROWS, strict=True)], axis=0),
        "brow_gap": gap(*_INNER_BROWS) / unit,
        "eye_open": np.mean([gap(*lids) / gap(*corners) for lids, corners in zip(_LIDS, _EYES, strict=True)], axis=0),
    }


# measure -> (low, word when below, high, word when above)
_FACE_WORDS: dict[str, tuple[float, str, float, str]] = {
    "corner_lift": (-0.03, "mouth corners lowered", 0.036, "mouth corners raised"),
    "mouth_width": (0.44, "mouth narrow", 0.60, "mouth stretched wide"),
    "mouth_open": (0.0, "", 0.053, "mouth open"),
    "brow_height": (0.223, "brows lowered", 0.313, "brows raised"),
    "brow_gap": (0.31, "brows drawn together", 1.0, ""),
    "eye_open": (0.286, "eyes narrowed", 0.384, "eyes wide"),
}
_VOICE_WORDS: dict[str, tuple[float, str, float, str]] = {
    "pitch_hz": (110.0, "low pitch", 250.0, "high pitch"),
    "pitch_range_st": (3.4, "flat melody", 9.3, "lively melody"),
    "loudness_db": (-50.0, "very quiet", -18.0, "loud"),
    "bursts_per_s": (3.5, "slow", 6.9, "fast"),
    "periodicity": (0.67, "breathy", 0.9, ""),
    "tilt_db": (-15.2, "dark tone", -5.0, "bright, tense tone"),
    "pause_share": (0.0, "", 0.22, "long pauses"),
}


def _words(measures: dict[str, float], table: dict[str, tuple[float, str, float, str]]) -> tuple[str, ...]:
    found = []
    for name, (low, below, high, above) in table.items():
        value = measures.get(name, float("nan"))
        if value < low and below:
            found.append(below)
        elif value > high and above:
            found.append(above)
    return tuple(found)


def face_cues(measures: dict[str, Floats]) -> tuple[str, ...]:
    """Plain words for the measures of one stretch (`face_measures`); medians, so that a blink does not count as closed eyes."""
    return _words({name: float(np.median(values)) for name, values in measures.items()}, _FACE_WORDS)


def voice_cues(prosody: Prosody) -> tuple[str, ...]:
    """Plain words for measured prosody."""
    return _words({name: getattr(prosody, name) for name in _VOICE_WORDS}, _VOICE_WORDS)
