import torch

from emollm.projectors.calm import settle
from emollm.projectors.rows import dated, mean, pack, resample

TOKENS = torch.tensor([[[1.0], [9.0], [3.0], [5.0]]])
MASK = torch.tensor([[True, False, True, True]])  # the nine is padding


def spread(length, rows=6):
    out, mask = resample(TOKENS, MASK, torch.tensor([length]), rows)
    return out[0, mask[0], 0].tolist()


def test_rows_are_packed_in_their_order():
    tokens, mask = pack(TOKENS, MASK)
    assert tokens[0, :, 0].tolist() == [1, 3, 5, 9] and mask[0].tolist() == [True, True, True, False]


def test_rows_are_spread_evenly_with_both_ends():
    assert spread(3) == [1, 3, 5]
    assert spread(5) == [1, 2, 3, 4, 5]
    assert spread(2) == [1, 5]
    assert spread(1) == [3]
    assert spread(0) == []


def test_one_row_is_repeated():
    out, mask = resample(TOKENS[:, :1], MASK[:, :1], torch.tensor([4]), 4)
    assert out[0, :, 0].tolist() == [1] * 4 and mask.all()


def test_mean_is_of_real_rows():
    assert mean(TOKENS, MASK).tolist() == [[3.0]]
    assert mean(TOKENS, torch.zeros_like(MASK)).tolist() == [[0.0]]


def test_time_code_has_the_size_of_its_row():
    rows = torch.randn(1, 5, 32) * torch.tensor([0.01, 1, 100, 1, 0])[None, :, None]
    code = dated(rows, torch.ones(1, 5, dtype=torch.bool)) - rows
    size = rows.pow(2).mean(-1).sqrt()
    assert torch.allclose(code.pow(2).mean(-1).sqrt(), size, rtol=1e-3)


def test_calm_in_half_precision_and_of_zeros():
    tokens = torch.randn(1, 2, 64).bfloat16() * 1e-4
    tokens[0, 1] = 0
    out = settle(tokens, torch.ones(1, 2, dtype=torch.bool), 0.015)
    assert out.dtype == torch.bfloat16 and torch.isfinite(out).all()
    assert abs(float(out[0, 0].float().pow(2).mean().sqrt()) - 0.015) < 2e-4 and not out[0, 1].any()
