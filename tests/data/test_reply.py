import random

import pytest

from emollm.data.prompts import pools
from emollm.data.reply import VAGUE, help_for, missing, reply


@pytest.mark.parametrize("label", sorted(pools("dialogue")["reply"]))
def test_a_reply_names_what_is_looked_at_and_what_misses_is_another(label):
    rng = random.Random(0)
    said = {reply(label, "sound", rng) for _ in range(60)}
    assert len(said) == len(pools("dialogue")["reply"][label])
    assert not any("look" in text.lower() or "{" in text for text in said)
    missed = {missing(label, "sound", rng) for _ in range(60)}
    assert not said & missed
    assert set(VAGUE) & missed and missed - set(VAGUE)


def test_everybody_who_can_be_spoken_to_can_be_helped():
    assert set(pools("dialogue")["help"]) == set(pools("dialogue")["reply"])
    assert all(help_for(label, random.Random(0)) for label in pools("dialogue")["help"])
