"""Which bridges know in what order rows came, and which options take that away."""

import pytest
import torch

from emollm.projectors.experts import HierarchicalExpertsFuser
from emollm.projectors.face_temporal import FaceTemporalProjector
from emollm.projectors.linear import MeanLinearProjector
from emollm.projectors.pre_fusion import PreFusionFuser
from emollm.projectors.prompt_guided import PromptGuidedFuser
from emollm.projectors.q_former import QFormerProjector
from emollm.projectors.q_former_fusion import QFormerFuser

COMMON = {"width": 16, "width_llm": 12, "hidden": 24, "tokens": 4, "scale": 0.02}
MASK = torch.ones(1, 6, dtype=torch.bool)
SHUFFLE = torch.tensor([3, 0, 5, 1, 4, 2])


def change(kind, **options):
    """How far the output moves, relative to its size, when rows are shuffled."""
    torch.manual_seed(0)
    sizes = COMMON | options
    model, rows = kind(**sizes).eval(), torch.randn(1, 6, sizes["width"])
    with torch.no_grad():
        one, two = model(rows, MASK)[0], model(rows[:, SHUFFLE], MASK)[0]
    return float((one - two).abs().max() / one.abs().max())


def test_face_temporal_knows_order_unless_told_not_to():
    assert change(FaceTemporalProjector) > 1e-2
    assert change(FaceTemporalProjector, positions=False) < 1e-5


def test_q_former_knows_order_by_its_positions():
    wide = {"width": 256, "hidden": 128, "heads": 2}  # fresh Q-Formers of toy width hardly look at their rows
    assert change(QFormerProjector, **wide, positions=8) > 1e-3
    assert change(QFormerProjector, **wide, positions=4) > 1e-3
    assert change(QFormerProjector, **wide, positions=0) < 1e-5


def test_mean_does_not():
    assert change(MeanLinearProjector) < 1e-5


@pytest.mark.parametrize("turned", ["one", "two"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (HierarchicalExpertsFuser, {"scales": 2, "heads": 2}),
        (PreFusionFuser, {"rows": 6, "hidden": 16, "narrow": 8}),
        (QFormerFuser, {"queries": 4, "heads": 2, "narrow": 64, "inner": 64}),
        (PromptGuidedFuser, {"queries": 4, "heads": 2, "width_llm": 12}),
    ],
)
def test_fusers_know_how_streams_lie_to_each_other(kind, options, turned):
    torch.manual_seed(0)
    model = kind(widths={"one": 16, "two": 16}, width=16, **options).eval()
    tokens, masks = {n: torch.randn(1, 6, 16) for n in ("one", "two")}, dict.fromkeys(("one", "two"), MASK)
    before = model(tokens, masks)[0]
    after = model(tokens | {turned: tokens[turned][:, SHUFFLE]}, masks)[0]
    if kind is HierarchicalExpertsFuser and turned == "two":
        assert torch.allclose(before, after, atol=1e-5)  # as published: every row of the first sees all rows of the second
    else:
        assert (before - after).abs().max() > 1e-4


@pytest.mark.parametrize("real", [2, 6, 8, 9, 40])
def test_learned_positions_are_shared_evenly(real):
    places = QFormerProjector._places(torch.arange(50)[None] < real, 8)[0, :real].tolist()
    assert places == sorted(places) and places[0] == 0
    assert places == list(range(real)) if real <= 8 else places[-1] == 7 and set(places) == set(range(8))
