import pytest
import torch

from emollm.projectors.experts import HierarchicalExpertsFuser


def batch(first=6, second=6):
    tokens = {"voice": torch.randn(2, first, 24), "picture": torch.randn(2, second, 24)}
    return tokens, {n: torch.ones(x.shape[:2], dtype=torch.bool) for n, x in tokens.items()}


def make():
    torch.manual_seed(0)
    return HierarchicalExpertsFuser(widths={"voice": 24, "picture": 24}, width=16, heads=2).eval()


def test_shares_sum_to_one_and_follow_the_clip():
    model, (tokens, masks) = make(), batch()
    masks["picture"][1] = False
    model(tokens, masks)
    assert model.shares.shape == (2, 3) and not model.shares.requires_grad
    assert torch.allclose(model.shares.sum(1), torch.tensor([1.0, 0.0]))
    tokens["voice"] = tokens["voice"] * 3
    before = model.shares
    model(tokens, masks)
    assert (model.shares - before).abs().max() > 1e-4


def test_an_expert_without_a_share_is_not_heard():
    """Push the gate to one expert: the output is then that expert's alone."""
    model, (tokens, masks) = make(), batch()
    with torch.no_grad():
        model.gate[-1].bias.copy_(torch.tensor([100.0, 0.0, 0.0]))
    before, _ = model(tokens, masks)
    changed = {n: torch.cat([x[..., :8], torch.randn(2, 6, 16)], -1) for n, x in tokens.items()}
    assert torch.allclose(model(changed, masks)[0], before, atol=1e-5)


def test_output_has_the_rows_of_the_shorter_stream():
    model = make()
    assert model.count({"voice": 6, "picture": 4}) == 4
    out, mask = model(*batch(6, 4))
    assert out.shape == (2, 4, 16) and mask.all()


def test_wrong_widths_are_named():
    with pytest.raises(ValueError, match="voice is 25 wide"):
        HierarchicalExpertsFuser(widths={"voice": 25, "picture": 24}, width=16)
    with pytest.raises(ValueError, match="two streams, got 1"):
        HierarchicalExpertsFuser(widths={"voice": 24}, width=16)
