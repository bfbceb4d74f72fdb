"""Frames of a clip side by side with the faces boxed: to see at a glance what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emollm.values import Analysis
from emollm.watch import Glimpse

COLUMNS = 4
_MAIN, _OTHER, _INK = (255, 176, 0), (120, 170, 255), (20, 20, 20)  # RGB


def contact_sheet(glimpses: Sequence[Glimpse], analysis: Analysis, path: Path, *, most: int = 12) -> Path | None:
    """Write a PNG of at most `most` frames spread over the clip; None, and no file, for a clip without a picture."""
    if not glimpses:
        return None
    picks = np.unique(np.linspace(0, len(glimpses) - 1, min(most, len(glimpses))).round().astype(int))
    tiles = [_tile(glimpses[i], analysis) for i in picks]
    columns = min(COLUMNS, len(tiles))
    height = max(t.shape[0] for t in tiles)
    rows = []
    for first in range(0, len(tiles), columns):
        row = [cv2.copyMakeBorder(t, 0, height - t.shape[0], 0, 0, cv2.BORDER_CONSTANT, value=_INK) for t in tiles[first : first + columns]]
        row += [np.full_like(row[0], 20)] * (columns - len(row))
        rows.append(np.hstack(row))
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])
    return path


def _tile(glimpse: Glimpse, analysis: Analysis) -> NDArray[np.uint8]:
    factor, tile = glimpse.factor, glimpse.image.copy()
    for person, reading in enumerate(analysis.faces):
        at = np.flatnonzero(reading.track.index == glimpse.frame)
        if not len(at):
            continue
        left, top, right, bottom = (round(float(v) * factor) for v in reading.track.boxes[at[0]])
        colour = _MAIN if person == 0 else _OTHER
        cv2.rectangle(tile, (left, top), (right, bottom), colour, 2)
        label = reading.labels[int(reading.scores[at[0]].argmax())]
        _write(tile, f"{person + 1} {label}", (left, max(12, top - 4)), colour)
    _write(tile, f"{glimpse.time_s:.1f} s", (4, tile.shape[0] - 6), (255, 255, 255))
    return np.asarray(tile, np.uint8)


def _write(tile: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    for ink, thick in ((_INK, 3), (colour, 1)):  # dark edges, so that it can be read on any picture
        cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, ink, thick, cv2.LINE_AA)
