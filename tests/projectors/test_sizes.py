"""Parameter counts of published modules, in millions."""

import pytest
import torch

from emollm.lazy import resolve
from emollm.projectors import FUSERS, PROJECTORS


def size(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


def projector(kind, width, width_llm, hidden=768, tokens=32, **options):
    with torch.device("meta"):
        made = resolve("projector", kind, PROJECTORS)
        return made(width=width, width_llm=width_llm, hidden=hidden, tokens=tokens, scale=0.02, **options)


def fuser(kind, widths, width, **options):
    with torch.device("meta"):
        return resolve("fuser", kind, FUSERS)(widths=widths, width=width, **options)


def test_four_linear_adapters():
    assert sum(size(projector("linear", w, 4096)) for w in (5632, 1408, 1280, 256)) == pytest.approx(35.14, abs=0.01)


def test_q_former_and_its_projection():
    model = projector("q-former", 1024, 1536, positions=0)
    assert size(model.reader) == pytest.approx(19.72, abs=0.01)
    assert size(model.leave) == pytest.approx(1.18, abs=0.01)
    assert size(projector("q-former", 1024, 1536)) - size(model) == pytest.approx(32 * 1024 / 1e6)
    text = [
        n for n, _ in model.named_parameters() if ".intermediate." in n or (".output.dense" in n and "attention" not in n) or "embedd" in n
    ]
    assert not text  # the text branch of the Q-Former


def test_face_temporal():
    assert size(projector("face-temporal", 256, 1536, tokens=4)) == pytest.approx(1.64, abs=0.01)
    assert size(projector("face-temporal", 256, 1536, tokens=4, norm=False)) == pytest.approx(1.64, abs=0.01)


def test_mean_linear():
    assert size(projector("mean-linear", 512, 1536)) == pytest.approx(0.79, abs=0.01)


def test_hierarchical_experts():
    assert size(fuser("hierarchical-experts", {"voice": 3072, "picture": 3072}, 512)) == pytest.approx(6.57, abs=0.01)


def test_pre_fusion():
    assert size(fuser("pre-fusion", {"voice": 1280, "whole": 1408, "video": 1408}, 256)) == pytest.approx(2.84, abs=0.01)


def test_prompt_guided_stays_at_tens_of_millions():
    assert 20 < size(fuser("prompt-guided", {"general": 1024, "face": 4 * 768}, 768, width_llm=3584)) < 80
