import random
import re

import pytest

from emollm.data.chosen import Choice, choices, chosen, fault_of


def test_better_answers_are_short_plain_and_hand_out_no_numbers():
    known = choices()
    assert len(known) > 500
    for choice in known:
        assert 2 <= len(choice.better.split()) <= 40, choice
        assert not re.search(r"\b(988|911|112|116 123)\b", choice.better), choice
        assert "\n" not in choice.better


@pytest.mark.parametrize(
    ("turns", "better", "worse", "fault"),
    [
        ((("user", "a"), ("assistant", "b")), "x", "y", "user first and the user last"),
        ((("assistant", "a"),), "x", "y", "user first and the user last"),
        ((("user", "a"),), " ", "y", "empty"),
        ((("user", "a"),), "x", "x ", "the same"),
        ((("user", "a"), ("assistant", "b"), ("user", "c")), "x", "y", ""),
    ],
)
def test_faults(turns, better, worse, fault):
    found = fault_of(Choice("t", turns, better, worse))
    assert fault in found and bool(found) == bool(fault)


def test_only_the_last_answer_is_learned_and_the_worse_one_is_kept_apart():
    samples = chosen(len(choices()) + 3, random.Random(0))
    assert len(samples) == len(choices()) + 3
    for sample in samples:
        assert sample.turns[-1].learn and sum(t.learn for t in sample.turns) == 1
        assert sample.worse and sample.worse != sample.turns[-1].text
