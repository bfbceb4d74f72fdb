"""Stills for the face encoder: found, aligned and labelled like photographs, the same from the same seed."""

import numpy as np
import pytest

pytest.importorskip("numba")

from emollm import weights
from emollm.encoders.face import EXPRESSIONS
from emollm.synth.faces import A_PERSON, label, render_stills


def test_stills_have_crops_points_labels_and_units():
    weights.pull("makehuman-head")
    weights.pull("mediapipe-face")
    stills = render_stills(2 * A_PERSON, 72, 64, workers=1)
    assert 0.8 * 2 * A_PERSON <= len(stills.crops) <= 2 * A_PERSON
    assert stills.crops.shape[1:] == (72, 72) and stills.crops.dtype == np.uint8
    assert stills.points.shape[1:] == (468, 3) and stills.units.shape[1:] == (52,)
    sums = stills.targets.sum(1)
    assert np.all((np.abs(sums - 1) < 1e-5) | (sums == 0)) and (sums == 0).any()
    assert stills.units.min() >= 0 and stills.units.max() <= 1 and (stills.units.max(1) > 0.1).mean() > 0.6


def test_a_weak_expression_is_partly_neutral():
    weak, strong = label("angry", 0.35), label("angry", 1.1)
    angry, neutral = EXPRESSIONS.index("angry"), EXPRESSIONS.index("neutral")
    assert weak.argmax() == strong.argmax() == angry and weak[neutral] > strong[neutral]
    assert label("neutral", 1.0).argmax() == neutral and not label("pain", 1.0).any() and not label("contempt", 1.0).any()
    assert label("fear", 0.7).sum() == pytest.approx(1)
