import pytest
import torch

from emollm.projectors.prompt_guided import PromptGuidedFuser

SIZES = {"width": 16, "width_llm": 12, "taps": 4, "queries": 3, "heads": 2}


def make(widths=None, **options):
    torch.manual_seed(0)
    return PromptGuidedFuser(widths=widths or {"general": 20, "face": 32}, **SIZES | options).eval()


def batch():
    torch.manual_seed(1)
    tokens = {"general": torch.randn(2, 5, 20), "face": torch.randn(2, 4, 32)}
    return tokens, {n: torch.ones(x.shape[:2], dtype=torch.bool) for n, x in tokens.items()}


def asked(seed):
    words = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(seed)) * 0.02
    return words, torch.ones(2, 3, dtype=torch.bool)


@pytest.mark.parametrize("options", [{}, {"facial": False}, {"chain": False}, {"weights": False}, {"released": True}])
def test_the_question_changes_tokens_in_every_variant(options):
    model, (tokens, masks) = make(**options), batch()
    one = model(tokens, masks, asked(1))[0]
    assert (one - model(tokens, masks, asked(2))[0]).abs().max() > 1e-3
    assert torch.allclose(model.shares.sum(1), torch.ones(2))


def test_shares_follow_question_and_face():
    model, (tokens, masks) = make(), batch()
    model(tokens, masks, asked(1))
    one = model.shares
    assert one.shape == (2, 2) and not one.requires_grad and ((one > 0) & (one < 1)).all()
    model(tokens, masks, asked(2))
    assert (model.shares - one).abs().max() > 1e-5
    model(tokens | {"face": -tokens["face"]}, masks, asked(1))
    assert (model.shares - one).abs().max() > 1e-5


def test_a_clip_without_a_face_is_told_by_the_general_stream_alone():
    """Masked, absent, or of a model that never knew faces: the same tokens."""
    model, (tokens, masks) = make(), batch()
    masks["face"][1] = False
    out, mask = model(tokens, masks, asked(1))
    assert mask.all() and model.shares[1].tolist() == [1, 0] and model.shares[0, 1] > 0
    absent = model({"general": tokens["general"]}, {"general": masks["general"]}, asked(1))[0]
    assert torch.allclose(absent[1], out[1], atol=1e-5) and not torch.allclose(absent[0], out[0], atol=1e-3)
    plain = make(facial=False)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if k in plain.state_dict()})
    assert torch.allclose(plain(tokens, masks, asked(1))[0], absent, atol=1e-5)


def test_no_question_is_a_learned_question():
    model, (tokens, masks) = make(), batch()
    out = model(tokens, masks)[0]
    words, words_mask = asked(1)
    words_mask[0] = False
    mixed = model(tokens, masks, (words, words_mask))[0]
    assert torch.allclose(mixed[0], out[0], atol=1e-5) and not torch.allclose(mixed[1], out[1], atol=1e-3)
    assert torch.allclose(model(tokens, masks, (words[:, :0], words_mask[:, :0]))[0], out)
    out.sum().backward()
    model(tokens, masks)[0].square().sum().backward()
    assert model.ask.silence.grad.any() and model.ask.enter[1].weight.grad is None


def test_plain_mean_of_both_without_weights():
    model, (tokens, masks) = make(weights=False), batch()
    masks["face"][1] = False
    model(tokens, masks, asked(1))
    assert model.shares.tolist() == [[0.5, 0.5], [1, 0]]


@pytest.mark.parametrize("tap", range(4))
def test_the_chain_reads_every_depth_and_its_absence_the_deepest(tap):
    tokens, masks = batch()
    changed = tokens["face"].clone()
    changed[..., 8 * tap : 8 * tap + 8] *= -1
    for options, heard in (({}, True), ({"released": True}, True), ({"chain": False}, tap == 3)):
        model = make(**options)
        before, after = (model(tokens | {"face": x}, masks, asked(1))[0] for x in (tokens["face"], changed))
        assert torch.equal(before, after) != heard


def test_options_build_only_what_they_use():
    def names(**options):
        return {n.split(".")[0] for n, _ in make(**options).named_parameters()}

    all_of_them = names()
    assert all_of_them - names(facial=False) == {"taps", "chain", "read_facial", "weighers"}
    assert all_of_them - names(chain=False) == {"chain"}
    assert all_of_them - names(weights=False) == {"weighers"}
    single, double = ({n for n, _ in make(released=r).chain.named_parameters()} for r in (True, False))
    assert not any("check" in n for n in single) and any("links.3.check" in n for n in double)


def test_wrong_streams_are_named():
    with pytest.raises(ValueError, match="face is 30 wide"):
        make({"general": 20, "face": 30})
    with pytest.raises(ValueError, match="got 1: general"):
        make({"general": 16})
    assert make({"general": 16}, facial=False).shares is None
