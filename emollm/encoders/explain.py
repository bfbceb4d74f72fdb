"""Which parts of a face carried a verdict: cover one patch after another and see how much the verdict falls.

Source: occlusion sensitivity, Zeiler and Fergus 2014, section 4.2. Covers pixels only; the share of the landmarks is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from emollm.encoders.face import CROP_PX, EXPRESSIONS, FaceEncoder
from emollm.values import Floats

PATCH_PX, STRIDE_PX = 16, 6


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a face was given a label."""

    label: str
    probability: float
    heat: Floats  # [64, 64] fall of the label's log probability where the patch around a pixel is covered; negative where it rises


@torch.inference_mode()
def explain_face(encoder: FaceEncoder, crop: NDArray[np.uint8], points: Floats, label: str | None = None) -> Explanation:
    """Explain one frame.

    Args:
        encoder: A trained one.
        crop: [64, 64] grey.
        points: [468, 3] from `normalise_landmarks`.
        label: Which verdict to explain; the leading one if None.
    """
    starts = list(range(0, CROP_PX - PATCH_PX + 1, STRIDE_PX))
    views = [crop]
    blurred = cv2.GaussianBlur(crop, (0, 0), 8)  # not grey: a grey square is itself a sight the encoder might read something into
    for top in starts:
        for left in starts:
            view = crop.copy()
            view[top : top + PATCH_PX, left : left + PATCH_PX] = blurred[top : top + PATCH_PX, left : left + PATCH_PX]
            views.append(view)
    shapes = torch.from_numpy(np.repeat(np.asarray(points, np.float32)[None], len(views), 0))
    tokens = encoder(torch.from_numpy(np.stack(views)), shapes)
    scores = encoder.probabilities(tokens).clamp_min(1e-6).log().numpy()
    which = EXPRESSIONS.index(label) if label else int(scores[0].argmax())
    falls = scores[0, which] - scores[:, which]
    heat, counts = np.zeros((CROP_PX, CROP_PX)), np.zeros((CROP_PX, CROP_PX))
    for (top, left), fall in zip([(t, s) for t in starts for s in starts], falls[1:], strict=True):
        heat[top : top + PATCH_PX, left : left + PATCH_PX] += fall
        counts[top : top + PATCH_PX, left : left + PATCH_PX] += 1
    return Explanation(EXPRESSIONS[which], float(np.exp(scores[0, which])), heat / np.maximum(counts, 1))
