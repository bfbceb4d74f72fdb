import pytest
import torch

from emollm.projectors.pre_fusion import PreFusionFuser

WIDTHS = {"voice": 10, "whole": 12, "video": 12}


def make(**options):
    torch.manual_seed(0)
    return PreFusionFuser(widths=WIDTHS, width=16, **{"rows": 8, "hidden": 16, "narrow": 8} | options).eval()


def batch():
    torch.manual_seed(1)
    tokens = {"voice": torch.randn(2, 20, 10), "whole": torch.randn(2, 1, 12), "video": torch.randn(2, 5, 12)}
    return tokens, {n: torch.ones(x.shape[:2], dtype=torch.bool) for n, x in tokens.items()}


def test_branches_add_up():
    """Both branches together give what each gives alone, once the bias that both count is taken off."""
    both, attention, convolution = make(), make(convolution=False), make(attention=False)
    attention.load_state_dict({k: v for k, v in both.state_dict().items() if not k.startswith(("begin", "convolve"))})
    convolution.load_state_dict({k: v for k, v in both.state_dict().items() if not k.startswith("weigh")})
    tokens, masks = batch()
    alone = attention(tokens, masks)[0] + convolution(tokens, masks)[0] - both.leave.bias
    assert torch.allclose(both(tokens, masks)[0], alone, atol=1e-5)


def test_without_branches_there_is_nothing_to_build():
    with pytest.raises(ValueError, match="leave the stream out"):
        make(attention=False, convolution=False)


def test_attention_weighs_position_by_position_and_convolution_looks_around():
    for options, reach in (({"convolution": False}, 0), ({"attention": False}, 4)):
        model = make(rows=20, **options)
        tokens, masks = batch()
        before = model(tokens, masks)[0]
        tokens["voice"] = tokens["voice"].clone()
        tokens["voice"][:, 10] += 1
        moved = (model(tokens, masks)[0] - before).abs().amax((0, 2)) > 0
        assert moved.nonzero()[:, 0].tolist() == list(range(10 - reach, 11 + reach))


def test_softmax_makes_weights_shares():
    """With equal views, shares that sum to one give the view back, whatever they are."""
    model = make(convolution=False, softmax=True)
    tokens, masks = batch()
    same = model.enter["whole"](tokens["whole"][:, :1].expand(-1, 8, -1))
    model.enter["voice"] = model.enter["video"] = model.enter["whole"]
    equal = dict.fromkeys(WIDTHS, tokens["whole"])
    out = model(equal, dict.fromkeys(WIDTHS, masks["whole"]))[0]
    assert torch.allclose(out, model.leave(same), atol=1e-5)
    model.softmax = False
    assert not torch.allclose(model(equal, dict.fromkeys(WIDTHS, masks["whole"]))[0], out, atol=1e-3)
