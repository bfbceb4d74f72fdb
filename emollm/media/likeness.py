"""Is this the person from before? Two answers: for one shot, where light stays, and for another shot, where only the person does.

Enough to find somebody again within one clip, across a cut or after a walk behind somebody else; nothing that names a person, and nothing
that is kept: a descriptor lives as long as the clip is being read. Between shots light is taken out as far as it goes: the face's lines by
local contrast, both halves laid on one another, and the colours of hair and clothes against the skin's.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from emollm.media.align import crop_face
from emollm.media.detector import Image
from emollm.values import Floats

_VIEW_PX = 96  # from hair to shoulders
_WIDEN = 2.2  # of that view over the face's own square
_FACE_PX, _LINES_PX = 48, 24
# rows and columns of the view, in shares of its side
_FACE, _HAIR, _SKIN, _CLOTHES = (0.27, 0.73, 0.27, 0.73), (0.08, 0.32, 0.3, 0.7), (0.42, 0.62, 0.38, 0.62), (0.82, 1.0, 0.3, 0.7)
_WEIGHTS = (0.65, 0.05, 0.3)  # in another shot: of lines, hair and clothes
_WIDTHS = (1.5, 0.6)  # squared log distance at which hair and clothes count as different
_BINS, _RANGE = (6, 10, 10), (0, 256, 92, 172, 92, 172)  # of colours in one shot; most of what people wear lies in the middle
_SHARES = (0.25, 0.2, 0.2, 0.35)  # in one shot: of hair, skin, clothes and the tiny face
_TINY_PX = 12


@dataclass(frozen=True, slots=True)
class Looks:
    """A person's descriptor."""

    here: Floats  # [1944] unit length: colours as they are, and the face as a tiny picture
    lines: Floats  # [576] unit length
    colours: Floats  # [2, 3] log colours of hair and clothes against the skin's

    def mixed(self, other: Looks, share: float) -> Looks:
        """Moved towards another look of the same person."""
        return Looks(
            *((1 - share) * a + share * b for a, b in ((self.here, other.here), (self.lines, other.lines), (self.colours, other.colours)))
        )


def describe(image: Image, landmarks: Floats) -> Looks:
    """The person whose face has these landmarks [468, 3]."""
    view = crop_face(image, landmarks, _VIEW_PX, widen=_WIDEN)
    face = cv2.cvtColor(_part(view, _FACE), cv2.COLOR_RGB2GRAY)
    lab = np.asarray(cv2.cvtColor(view, cv2.COLOR_RGB2LAB), np.uint8)
    counts = [
        cv2.calcHist([_part(lab, where)], [0, 1, 2], None, list(_BINS), list(_RANGE)).ravel() + 1e-6 for where in (_HAIR, _SKIN, _CLOTHES)
    ]
    tiny = _unit(cv2.resize(face, (_TINY_PX, _TINY_PX), interpolation=cv2.INTER_AREA).astype(np.float32))
    parts = [*(c / c.sum() for c in counts), np.sign(tiny) * tiny**2]
    here = np.concatenate([np.sign(p) * np.sqrt(np.abs(p) * share) for p, share in zip(parts, _SHARES, strict=True)])
    skin = _colour(_part(view, _SKIN))
    colours = np.stack([_colour(_part(view, _HAIR)) - skin, _colour(_part(view, _CLOTHES)) - skin])
    return Looks(here.astype(np.float32), _lines(face), colours)


def alike_here(a: Looks, b: Looks) -> float:
    """How alike two people look in one shot, at most 1."""
    return float(a.here @ b.here) / max(float(np.linalg.norm(a.here) * np.linalg.norm(b.here)), 1e-6)


def alike_elsewhere(a: Looks, b: Looks) -> float:
    """How alike two people look in different shots, at most 1; rendered people under other light: the same 0.55 to 0.85, others below."""
    lines = float(a.lines @ b.lines) / max(float(np.linalg.norm(a.lines) * np.linalg.norm(b.lines)), 1e-6)
    gaps = np.square(a.colours - b.colours).sum(1)
    return _WEIGHTS[0] * lines + float(np.dot(_WEIGHTS[1:], np.exp(-gaps / _WIDTHS)))


def _lines(face: Floats) -> Floats:
    small = cv2.resize(face, (_FACE_PX, _FACE_PX), interpolation=cv2.INTER_AREA)
    lightness: Floats = np.log(small.astype(np.float32) + 8)
    lines: Floats = cv2.GaussianBlur(lightness, (0, 0), 1) - cv2.GaussianBlur(lightness, (0, 0), 5)
    lines = lines / (np.sqrt(cv2.GaussianBlur(lines * lines, (0, 0), 5)) + 0.02)
    lines = cv2.resize(lines, (_LINES_PX, _LINES_PX), interpolation=cv2.INTER_AREA)
    return _unit(lines + lines[:, ::-1])


def _unit(picture: Floats) -> Floats:
    flat = (picture - picture.mean()).ravel()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-6), np.float32)


def _part(view: Image, where: tuple[float, float, float, float]) -> Image:
    top, bottom, left, right = (round(v * _VIEW_PX) for v in where)
    return view[top:bottom, left:right]


def _colour(piece: Image) -> Floats:
    """[3] log of the median linear colour."""
    return np.log(np.median((piece.reshape(-1, 3) / 255.0) ** 2.2 + 0.003, axis=0))
