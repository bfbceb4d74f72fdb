"""Who speaks when: the mouth that moves while a voice is heard.

Works from landmarks and stretches of speech only. A person who talks opens and closes the mouth several times a second; a smile or a yawn
moves it slowly. Nobody whose mouth moves enough means that the speaker is out of the picture, which is a legal answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emollm.values import FaceTrack, Floats

LEAST = 0.06  # changes of the lips' gap, in mouth widths a second, below which a mouth is still
CLEAR = 1.3  # how much more than the next one the speaker's mouth has to move
_LIPS, _CORNERS = (13, 14), (61, 291)


def mouth_motion(track: FaceTrack) -> tuple[Floats, Floats]:
    """Times [n - 1] between neighbouring frames and how fast the gap between the lips changed there, in mouth widths a second."""
    points = track.landmarks[:, [*_LIPS, *_CORNERS], :2].astype(float)  # four of 468: of an hour all would be 320 MB
    gap = np.linalg.norm(points[:, 0] - points[:, 1], axis=1)
    width = np.linalg.norm(points[:, 2] - points[:, 3], axis=1)
    share = gap / np.maximum(np.median(width) if len(width) else 1.0, 1e-6)
    times = np.asarray(track.times_s, float)
    return (times[1:] + times[:-1]) / 2, np.abs(np.diff(share)) / np.maximum(np.diff(times), 1e-3)


def speakers(tracks: Sequence[FaceTrack], spans_s: Sequence[tuple[float, float]]) -> tuple[int | None, ...]:
    """For each stretch of speech the index of the track whose mouth moves with it, or None where no mouth clearly does.

    Args:
        tracks: Of one clip; may be empty.
        spans_s: From `encoders.prosody.speech_spans`.
    """
    motions = [mouth_motion(track) for track in tracks]
    return tuple(_speaker(motions, begin, end) for begin, end in spans_s)


def _speaker(motions: Sequence[tuple[Floats, Floats]], begin: float, end: float) -> int | None:
    moved = []
    for times, speed in motions:
        during = speed[(times >= begin) & (times <= end)]
        # The mean of the middle eight tenths: one jump of a landmark is not speech.
        inside = np.sort(during)[len(during) // 10 : len(during) - len(during) // 10]
        moved.append(float(inside.mean()) if len(inside) else 0.0)
    order = np.argsort(moved)[::-1]
    if not len(order) or moved[order[0]] < LEAST:
        return None
    if len(order) > 1 and moved[order[0]] < CLEAR * moved[order[1]]:
        return None
    return int(order[0])
