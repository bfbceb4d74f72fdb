"""What every projector and every fuser promises, whatever it does in between."""

import pytest
import torch

from emollm.lazy import resolve
from emollm.projectors import FUSERS, PROJECTORS

WIDTH, WIDTH_LLM, SCALE = 24, 16, 0.02
LENGTHS = (5, 0, 3, 9)  # real rows of each clip of the batch
PROJECTOR_OPTIONS = {"mlp": {}, "q-former": {"heads": 2, "positions": 6}}
FUSER_OPTIONS = {
    "conv-attention": {},
    "hierarchical-experts": {"heads": 2},
    "pre-fusion": {"rows": 6, "hidden": 16, "narrow": 8},
    "q-former-fusion": {"queries": 5, "heads": 2, "hidden": 16, "narrow": 8, "inner": 16},
    "prompt-guided": {"queries": 3, "heads": 2, "width_llm": WIDTH_LLM, "taps": 4},
}
FUSER_STREAMS = {"pre-fusion": ("one", "two", "three"), "q-former-fusion": ("one", "two", "three")}
PADDED = [
    k for k in FUSERS if k != "conv-attention"
]  # its convolution runs across the padding between streams, and its weights are shipped


def projector(kind, tokens=4, **options):
    torch.manual_seed(0)
    made = resolve("projector", kind, PROJECTORS)
    options = PROJECTOR_OPTIONS.get(kind, {}) | options
    return made(width=WIDTH, width_llm=WIDTH_LLM, hidden=32, tokens=tokens, scale=SCALE, **options).eval()


def fuser(kind, **options):
    torch.manual_seed(0)
    widths = dict.fromkeys(FUSER_STREAMS.get(kind, ("one", "two")), WIDTH)
    return resolve("fuser", kind, FUSERS)(widths=widths, width=WIDTH, **FUSER_OPTIONS[kind] | options).eval()


def rows(lengths, seed=1, extra=0):
    """Random rows with mask; what is not real is noise, which nobody may look at."""
    g = torch.Generator().manual_seed(seed)
    most = max(lengths)
    mask = torch.arange(most + extra) < torch.tensor(lengths)[:, None]
    real = torch.randn(len(lengths), most, WIDTH, generator=g)
    return torch.cat([real, 9 * torch.randn(len(lengths), extra, WIDTH, generator=g)], 1), mask


def streams(names, extra=0, empty=None):
    """Rows of every stream with lengths that differ; the clip at index 1 has none, nor has `empty` of the clip at index 2."""
    out = {n: rows([max(x - i, 0) if x else 0 for x in LENGTHS], seed=i, extra=extra * (i + 1)) for i, n in enumerate(names)}
    if empty is not None:
        out[empty][1][2] = False
    return {n: x for n, (x, _) in out.items()}, {n: m for n, (_, m) in out.items()}


def question(seed=5, extra=0):
    g = torch.Generator().manual_seed(seed)
    mask = torch.arange(4 + extra) < torch.tensor([3, 4, 1, 4])[:, None]
    words = torch.randn(4, 4, WIDTH_LLM, generator=g) * SCALE
    return torch.cat([words, torch.randn(4, extra, WIDTH_LLM, generator=g)], 1), mask


def learns(module, out, but=()):
    """No parameter stays without a gradient, save those named."""
    (out * torch.randn_like(out)).sum().backward()
    # A key's bias shifts all scores of a query alike, which the softmax takes back: its gradient is zero by nature.
    idle = {n for n, p in module.named_parameters() if (p.grad is None or not p.grad.any()) and not n.endswith("key.bias")}
    assert {n for n in idle if not n.startswith(tuple(but))} == set()


@pytest.mark.parametrize("kind", PROJECTORS)
def test_projector_counts_agree_and_nothing_is_nan(kind):
    model = projector(kind)
    tokens, mask = rows(LENGTHS)
    out, out_mask = model(tokens, mask)
    assert out.shape[:2] == out_mask.shape and out.shape[2] == WIDTH_LLM
    assert out_mask.sum(1).tolist() == [model.count(n) for n in LENGTHS]
    assert model.count(0) == 0 and torch.isfinite(out).all()
    assert not out[~out_mask].any() and out[out_mask].abs().sum(-1).all()


@pytest.mark.parametrize("kind", PROJECTORS)
def test_projector_padding_equals_dropping(kind):
    model = projector(kind)
    out, out_mask = model(*rows(LENGTHS, extra=7))
    tokens, mask = rows(LENGTHS)
    for i, n in enumerate(LENGTHS):
        if n:
            alone, alone_mask = model(tokens[i : i + 1, :n], mask[i : i + 1, :n])
            assert torch.allclose(out[i][out_mask[i]], alone[0][alone_mask[0]], atol=1e-5)


@pytest.mark.parametrize("kind", [k for k in PROJECTORS if k != "mlp"])
def test_projector_holes_in_the_mask_equal_dropping(kind):
    model = projector(kind)
    tokens, _ = rows((8,))
    mask = torch.tensor([[True, False, False, True, True, False, True, True]])
    out, out_mask = model(tokens, mask)
    alone, alone_mask = model(tokens[:, mask[0]], mask[:, mask[0]])
    assert torch.allclose(out[out_mask], alone[alone_mask], atol=1e-5)
    assert int(out_mask.sum()) == model.count(5)


@pytest.mark.parametrize("kind", PROJECTORS)
def test_projector_learns_everywhere_even_beside_empty_rows(kind):
    model = projector(kind)
    tokens, mask = rows(LENGTHS)
    learns(model, model(tokens, mask)[0])
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("kind", [k for k in PROJECTORS if k != "mlp"])
def test_calm_changes_length_alone(kind):
    tokens, mask = rows(LENGTHS)
    (calm, valid), (loud, _) = projector(kind)(tokens, mask), projector(kind, calm=False)(tokens, mask)
    assert torch.allclose(calm[valid].pow(2).mean(-1).sqrt(), torch.tensor(SCALE), rtol=1e-3)
    assert torch.allclose(torch.cosine_similarity(calm[valid], loud[valid], dim=-1), torch.ones(int(valid.sum())), atol=1e-5)
    assert loud[valid].pow(2).mean().sqrt() > 3 * SCALE


@pytest.mark.parametrize("kind", FUSERS)
def test_fuser_counts_agree_and_nothing_is_nan(kind):
    model = fuser(kind)
    for empty in (None, *model.streams):
        tokens, masks = streams(model.streams, empty=empty)
        out, mask = model(tokens, masks, question())
        assert out.shape == (*mask.shape, WIDTH) and torch.isfinite(out).all() and not out[~mask].any()
        available = [{n: int(m[i].sum()) for n, m in masks.items()} for i in range(len(LENGTHS))]
        assert mask.sum(1).tolist() == [model.count(a) for a in available]
        assert model.count({}) == 0
        needed = kind != "prompt-guided" or empty == "one"  # a clip without a face is legal there
        assert mask[2].any() == (empty is None or not needed) and not mask[1].any()


@pytest.mark.parametrize("kind", PADDED)
def test_fuser_padding_equals_dropping(kind):
    model = fuser(kind)
    tokens, masks = streams(model.streams)
    padded, padded_masks = streams(model.streams, extra=3)
    words, words_mask = question(extra=6)
    out, out_mask = model(padded, padded_masks, (words, words_mask))
    for i, n in enumerate(LENGTHS):
        if n:
            kept = {s: m[i] for s, m in masks.items()}
            alone, alone_mask = model(
                {s: tokens[s][i : i + 1, k] for s, k in kept.items()},
                {s: masks[s][i : i + 1, k] for s, k in kept.items()},
                (words[i : i + 1, words_mask[i]], words_mask[i : i + 1, words_mask[i]]),
            )
            assert torch.allclose(out[i][out_mask[i]], alone[0][alone_mask[0]], atol=1e-5)


@pytest.mark.parametrize("kind", FUSERS)
def test_fuser_learns_everywhere_even_beside_empty_rows(kind):
    model = fuser(kind)
    out, _ = model(*streams(model.streams), question())
    learns(model, out, but=("ask.silence",))  # the stand-in for a question that was asked
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("kind", FUSERS)
def test_only_guided_fusers_hear_the_question(kind):
    model = fuser(kind)
    tokens, masks = streams(model.streams)
    one, two = (model(tokens, masks, question(seed))[0] for seed in (5, 6))
    assert torch.equal(one, two) != model.guided
    assert torch.equal(one, model(tokens, masks)[0]) != model.guided
