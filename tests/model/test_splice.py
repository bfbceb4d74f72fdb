import pytest
import torch

from emollm.model.splice import splice

STREAMS = ("face", "voice")


def test_tokens_stand_where_the_slots_are():
    # Two positions, three wide: [text, face] and [voice, text], small enough to check by eye.
    embeds = torch.zeros(2, 2, 3)
    slots = torch.tensor([[-1, 0], [1, -1]])
    face = torch.tensor([[[1.0, 2, 3]], [[9, 9, 9]]])
    voice = torch.tensor([[[9.0, 9, 9]], [[4, 5, 6]]])
    out = splice(
        embeds, slots, STREAMS, {"face": (face, torch.tensor([[True], [False]])), "voice": (voice, torch.tensor([[False], [True]]))}
    )
    assert out.tolist() == [[[0, 0, 0], [1, 2, 3]], [[4, 5, 6], [0, 0, 0]]]
    assert embeds.abs().sum() == 0  # the input is not changed


def test_masked_tokens_are_skipped_in_order():
    slots = torch.tensor([[0, -1, 0]])
    tokens = torch.tensor([[[1.0], [2.0], [3.0]]])
    out = splice(torch.zeros(1, 3, 1), slots, STREAMS, {"face": (tokens, torch.tensor([[True, False, True]]))})
    assert out[0, :, 0].tolist() == [1, 0, 3]


def test_counts_that_differ_are_named():
    with pytest.raises(ValueError, match=r"'face', row 0: 2 slots in the text but 1 tokens"):
        splice(torch.zeros(1, 2, 1), torch.tensor([[0, 0]]), STREAMS, {"face": (torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))})


def test_a_slot_without_its_stream_is_a_fault():
    with pytest.raises(ValueError, match="'voice', row 0: 1 slots in the text but 0 tokens"):
        splice(torch.zeros(1, 1, 1), torch.tensor([[1]]), STREAMS, {})


def test_gradients_reach_the_tokens():
    tokens = torch.ones(1, 1, 2, requires_grad=True)
    splice(torch.zeros(1, 1, 2), torch.tensor([[0]]), STREAMS, {"face": (tokens, torch.ones(1, 1, dtype=torch.bool))}).sum().backward()
    assert tokens.grad.tolist() == [[[1, 1]]]
