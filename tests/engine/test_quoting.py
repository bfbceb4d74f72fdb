"""Quotations of a clip keep to its words; all else that is quoted is left alone."""

import torch
from toys import TOKENIZER

from emollm.engine.quoting import Quoting
from emollm.engine.sampler import Sampler
from emollm.values import Sampling

SAID = "I waited all evening. Nobody called. I just feel alone."


def ids(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def after(text, *said):
    return {TOKENIZER.decode([token]) for token in Quoting(TOKENIZER, said or (SAID,)).following(ids(text))}


def test_an_open_quotation_goes_on_as_it_was_said():
    assert after('They say "I waited all ') == {"e"}
    assert after('They say "I waited all evening') == {"."}
    assert after('She says "Nobody cal') == {"l"}, "from any sentence on"
    assert after('They say "I waited all evening. Nobody') == {" "}
    assert after('"a b" and then "I just') == {" "}
    assert after('They say "I waited', "Hm.", SAID, "I waited?") == {" ", "?"}, "of whichever clip"


def test_what_is_no_quotation_of_the_clip_is_left_alone():
    assert after("I waited all ") == after('They say "I') == after('They say "I waited for ') == set()
    assert after('They say "I waited all evening." It') == set(), "the quotation is closed"
    assert after('They say "I waited all evening.') == set(), "the model may end here"
    assert after('They say "I waited all evening. Nobody called. I just feel alone.') == after('They say "I just feel alone.') == {'"'}
    assert after('"I waited all') == set() and after('"I waited all evening') == {"."}, "it might be something to say to them"


def test_a_slip_of_the_model_is_mended():
    logits = torch.full((len(TOKENIZER),), -20.0)
    logits[ids("n")[0]], logits[ids("e")[0]] = 0.0, -5.0
    sampler = Sampler(Sampling(repetition_penalty=1.0), [Quoting(TOKENIZER, (SAID,))])
    assert TOKENIZER.decode([sampler.draw(logits, ids('They say "I waited all '))]) == "e"
    assert TOKENIZER.decode([sampler.draw(logits, ids("all "))]) == "n"
