"""Sentences of earlier answers: found token by token, and left where another word is nearly as likely."""

import math

import pytest
import torch
from toys import TOKENIZER, embeds_of, engine_of, ids_of, owners_of, text_of, toy_llama

from emollm.engine.again import Again
from emollm.engine.sampler import Sampler
from emollm.values import Sampling


def ids(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def after(again, text):
    return {TOKENIZER.decode([token]) for token in again.following(ids(text))}


def test_a_sentence_is_followed_wherever_it_stands():
    again = Again(TOKENIZER, ["Oh no. I am here."], 8.0)
    assert after(again, "") == set(), "how an answer begins is left alone"
    assert after(again, "I a") == {"m"}
    assert after(again, "What? I am") == {" "}
    assert after(again, "Oh no. ") == {" ", "O", "I"}, "both sentences of before may begin here"
    assert after(again, "Oh no. I") == {" "}
    assert after(again, "I am here") == {"."}
    assert after(again, "I was") == set()


def test_facts_may_be_said_twice():
    again = Again(TOKENIZER, ["It turns at 2.8 s. Is it so?"], 8.0)
    assert after(again, "It t") == set()
    assert after(again, "Is it") == {" "}


def test_nothing_said_before_is_nothing_to_avoid():
    assert not Again(TOKENIZER, [], 8.0).following(ids("a"))
    assert not Again(TOKENIZER, ["  "], 8.0).following(ids("a"))


@pytest.mark.parametrize(("penalty", "chosen"), [(1.0, "m"), (3.9, "m"), (4.1, "n")])
def test_what_is_nearly_as_likely_is_said_instead(penalty, chosen):
    """ "m" is four times as likely as "n"."""
    logits = torch.full((len(TOKENIZER),), -20.0)
    logits[ids("m")[0]], logits[ids("n")[0]] = math.log(0.8), math.log(0.2)
    sampler = Sampler(Sampling(repetition_penalty=1.0), [Again(TOKENIZER, ["I am here."], penalty)])
    before = logits.clone()
    assert TOKENIZER.decode([sampler.draw(logits, ids("I a"))]) == chosen
    assert torch.equal(logits, before), "the caller's logits are left alone"


def test_an_engine_turns_away_from_what_it_said():
    llama = toy_llama()
    letters = set(ids("abcdefghijklmnopqrstuvwxyz"))
    llama.lm_head.weight[[i for i in range(len(TOKENIZER)) if i not in letters]] = 0  # so that all it says can be read
    engine = engine_of(llama)
    text = "Tell me of the sea."
    words = {"embeds": embeds_of(llama, ids_of(text)), "owners": owners_of(ids_of(text))}
    sampling = Sampling(max_new_tokens=20, sentence_penalty=1e9)
    first = engine.write(**words, sampling=sampling)
    said = text_of(first)
    again = engine.write(**words, sampling=sampling, earlier=[said])
    told = text_of(again)
    assert again.ended.tokens[0] == first.ended.tokens[0] and told != said
    kept = engine.write(**words, sampling=Sampling(max_new_tokens=20, sentence_penalty=1.0), earlier=[said])
    assert text_of(kept) == said
