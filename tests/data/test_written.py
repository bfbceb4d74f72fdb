import random
import re

import pytest

from emollm.data.written import Talk, fault_of, talks, written


def test_all_conversations_are_whole_and_each_is_its_own():
    known = talks()
    assert len(known) > 600
    first = [t.turns[0][1].lower() for t in known]
    assert len(first) - len(set(first)) <= 3  # two people may say the same; nobody pasted a block twice
    answers = [text for t in known for role, text in t.turns if role == "assistant"]
    assert len(set(answers)) == len(answers)
    assert all(8 <= len(a.split()) <= 70 for a in answers)


def test_words_of_crisis_are_answered_with_a_number_and_nothing_else_is():
    for talk in talks():
        told = any(re.search(r"\b(988|112|911|116 123)\b", text) for role, text in talk.turns if role == "assistant")
        assert told == (talk.topic == "crisis"), talk


def test_nobody_claims_a_body_or_a_family():
    claim = re.compile(r"\b(my (mother|father|wife|husband|children|childhood|friends?)|when i was (young|a child))\b", re.IGNORECASE)
    for talk in talks():
        for role, text in talk.turns:
            quoted = re.sub(r'"[^"]*"', "", text)  # sentences that the user may say
            assert role == "user" or not claim.search(quoted), text


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ((), "assistant last"),
        ((("user", "a"),), "assistant last"),
        ((("assistant", "a"), ("user", "b")), "take turns"),
        ((("user", "a"), ("assistant", " ")), "empty"),
        ((("user", "a"), ("assistant", "b")), ""),
    ],
)
def test_faults(turns, fault):
    assert fault in fault_of(Talk("x", turns))
    assert bool(fault_of(Talk("x", turns))) == bool(fault)


def test_every_answer_is_learned_and_drawing_is_even():
    count = len(talks()) + 5
    samples = written(count, random.Random(0))
    assert len(samples) == count
    assert all(turn.learn == (turn.role == "assistant") for s in samples for turn in s.turns)
    texts = [s.turns[0].text + s.turns[1].text for s in samples]
    assert len(set(texts)) >= len(talks()) - 3 and max(texts.count(t) for t in set(texts)) <= 2
