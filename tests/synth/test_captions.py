"""Captions say what the truth holds, in order, and can be read back."""

import random
import re

import pytest

from emollm.synth import captions
from emollm.synth.captions import Exchange, exchanges, facs, parse_facs
from emollm.synth.motion import Event

SMILE = Event(
    "expression", 0.5, 0.9, 1.6, 2.0, "happy", 0.9, "both", {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.85, "cheekSquintLeft": 0.6}
)
FROWN = Event("expression", 2.4, 2.8, 3.4, 3.8, "sad", 0.8, "both", {"mouthFrownLeft": 0.7, "browInnerUp": 0.9})
FLICKER = Event("expression", 2.1, 2.18, 2.25, 2.4, "angry", 0.5, "left", {"browDownLeft": 0.5})
TALK = Event("speech", 0.2, 0.2, 1.8, 1.8, "We did it together.", 1.0)
NOD = Event("nod", 3.0, 3.1, 3.4, 3.6, "down", 0.7)


def person(*events, **extra):
    look = {"age": "young", "skin": "light", "hair": "short black hair", "glasses": "glasses"}
    return {"appearance": look, "events": [e.as_json() for e in events], "masked": None} | extra


def test_facs_can_be_read_back():
    events = captions.events_of(person(FROWN, SMILE, FLICKER, TALK, NOD))
    assert parse_facs(facs(events)) == events
    assert [e.onset for e in events] == sorted(e.onset for e in events)


def test_a_broken_line_is_refused():
    with pytest.raises(ValueError, match="not an event"):
        parse_facs("someone smiles")


@pytest.mark.parametrize("seed", range(20))
def test_prose_keeps_the_order(seed):
    text = captions.plain(person(SMILE, FROWN, NOD), 4.0, random.Random(seed)).lower()
    smile = re.search(r"corners of the mouth rise|into a smile|cheeks", text)
    frown = re.search(r"inner (brows|ends)|mouth turn down|corners sink", text)
    assert smile and frown and smile.start() < frown.start()
    assert text.index("nods") > frown.start()


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_said_that_did_not_happen(seed):
    text = captions.fda(person(SMILE), 4.0, random.Random(seed)).lower()
    assert text.startswith("the video shows a young person with light skin")
    assert not re.search(r"brow|nose|frown|speak|nods|tongue", text)


def test_a_still_face_is_told_as_still():
    text = captions.plain(person(), 4.0, random.Random(0))
    assert re.search("calm|relaxed|nothing moves", text) and re.search("stays|No expression", text)


def test_questions_and_answers_follow_the_truth():
    found = exchanges(person(SMILE, FROWN, TALK), 4.0, random.Random(1))
    kinds = {e.kind for e in found}
    assert {"when", "order", "negative", "reasoning", "what"} <= kinds
    order = next(e for e in found if e.kind == "order")
    assert order.answer.startswith("First the corners of the mouth rise, then")
    after = next(e for e in found if "stops speaking" in e.question)
    assert after.answer.lower().startswith("the inner brows rise")
    no = next(e for e in found if e.kind == "negative")
    assert no.answer.startswith("No") and not re.search("smile|cheeks|inner brows", no.question)
    assert "happiness" in next(e for e in found if e.kind == "reasoning").answer


def test_a_mask_is_told_as_a_mask():
    under = Event("expression", 0.2, 0.5, 3.0, 3.5, "sad", 0.8, "both", {"browInnerUp": 0.9})
    found = exchanges(person(under, SMILE, masked=["sad", "happy"]), 4.0, random.Random(0))
    reasoning = next(e for e in found if e.kind == "reasoning")
    assert isinstance(reasoning, Exchange) and "sadness" in reasoning.answer and "smile" in reasoning.answer


def test_a_micro_expression_is_told_as_short():
    assert "split second" in captions.plain(person(FLICKER), 4.0, random.Random(0))


def test_no_part_of_the_clip_is_named_twice():
    for seed in range(20):
        text = captions.fda(person(SMILE, FROWN, FLICKER, NOD), 4.0, random.Random(seed))
        for words in ("the beginning", "As the video progresses", "Towards the end"):
            assert text.count(words) <= 1, text


def test_what_happens_during_speech_is_told_as_during_speech():
    text = captions.plain(person(TALK, SMILE), 4.0, random.Random(0))
    assert re.search(r"(While speaking|During these words), (the|\w)", text)


def test_parts_of_the_face_are_asked_about_around_speech():
    found = [e for seed in range(8) for e in exchanges(person(SMILE, FROWN, TALK), 4.0, random.Random(seed)) if e.kind == "moment"]
    answers = {e.question: e.answer for e in found}
    assert answers["What do the brows do after the person stops speaking?"] == "The inner brows rise."
    assert answers["What do the cheeks do while the person speaks?"] == "The cheeks lift."


def test_who_speaks_first_is_known_in_a_scene_of_two():
    late = Event("speech", 2.2, 2.2, 3.4, 3.4, "I am so glad.", 1.0)
    left = person(late, SMILE, boxes=[[10, 0, 50, 60]], speaks=True, main=False)
    right = person(TALK, boxes=[[120, 0, 180, 90]], speaks=True, main=True)
    answers = {e.question: e.answer for e in captions.about_everyone([right, left], 4.0)}
    assert answers["How many people are in the clip?"] == "Two."
    assert answers["Who speaks first, and who answers?"] == "First the person on the right, then the person on the left."
    assert "on the right" in answers["Who is the main character?"]
    assert "When does the person on the right smile?" not in answers and "0.5 seconds" in answers["When does the person on the left smile?"]


def test_one_person_alone_raises_no_question_about_others():
    assert captions.about_everyone([person(SMILE, boxes=[[0, 0, 9, 9]], speaks=False, main=True)], 4.0) == []
