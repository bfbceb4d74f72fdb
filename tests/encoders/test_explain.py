import numpy as np
import torch

from emollm.encoders.explain import explain_face
from emollm.encoders.face import EXPRESSIONS, FaceEncoder


class Corner(FaceEncoder):
    """Takes a bright upper left corner for happiness, and knows no landmarks."""

    def forward(self, crops, landmarks):
        bright = crops[:, :16, :16].float().mean((1, 2)) / 255
        return torch.stack([bright] * 256, 1)

    def expressions(self, tokens):
        logits = torch.zeros(len(tokens), len(EXPRESSIONS))
        logits[:, EXPRESSIONS.index("happy")] = 8 * tokens[:, 0] - 2
        return logits


def test_heat_is_where_the_verdict_came_from():
    crop = np.zeros((64, 64), np.uint8)
    crop[:14, :14] = 255
    found = explain_face(Corner(), crop, np.zeros((468, 3)))
    assert found.label == "happy" and found.heat.shape == (64, 64)
    assert found.heat[6, 6] > 0.15 > 10 * abs(found.heat[40:, 40:]).max()
    other = explain_face(Corner(), crop, np.zeros((468, 3)), "sad")
    assert other.label == "sad" and other.heat[6, 6] < 0  # covering the corner speaks for sadness
