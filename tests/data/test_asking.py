"""Prompts: frozen for every kind and variant, never telling the answer, labels in an order that tells nothing."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from unified_rows import INTENTS, LABELS, row, sample

from emollm.data import reader_specs
from emollm.data.asking import KINDS, ask, kinds, kinds_of, tasks_for, usual_kind, view_of
from emollm.data.prompts import label_question, pools, wordings
from emollm.data.schema import Media, UnifiedSample
from emollm.errors import DataError

GOLDEN = Path(__file__).parent / "golden_prompts.json"
MEDIA = {"clip": {"video": "a.mp4"}, "face": {"image": "a.png"}, "voice": {"audio": "a.wav"}, "text": {}}
PUT = [kind for kind in KINDS if kind != "question"]  # those whose questions are ours


def put(kind, view="clip", *, variant=0, rng=None, number=0):
    one = sample(kind, number, media=MEDIA[view])
    return ask(tasks_for(kind, one)[0], one, variant=variant, rng=rng, kind=kind)


def all_prompts():
    found = {}
    for kind in KINDS:
        for view in MEDIA if kind == "emotion" else ("clip",):
            count = len(wordings(kind, view)) if kind != "question" else 1
            found[f"{kind} {view}"] = {
                "fixed": [put(kind, view, variant=v).question for v in range(count)],
                "seed 7": [put(kind, view, variant=v, rng=random.Random(7)).question for v in range(count)],
                "answer": put(kind, view).answer,
            }
    for kind, count in (("clip", 5), ("text", 4)):
        found[f"label_question {kind}"] = {"fixed": [label_question(["happy", "sad"], kind=kind, variant=v) for v in range(count)]}
    return found


def test_prompts_are_what_they_were():
    """A changed prompt changes what trained weights are asked; to change one, write the file anew and say so in the log."""
    assert all_prompts() == json.loads(GOLDEN.read_text("utf-8"))


def test_label_questions_are_those_shipped_weights_know():
    assert label_question(["happy", "sad"]) == "Which emotion is shown? Choose one: happy, sad."
    assert label_question(["a", "b"], kind="text", variant=2) == "Pick the emotion of the last speaker: a, b."
    assert put("emotion").question == label_question(LABELS)
    assert put("emotion", "text").question == label_question(LABELS, kind="text")


@pytest.mark.parametrize("kind", PUT)
def test_every_kind_has_six_to_ten_wordings_of_its_own(kind):
    for view in MEDIA:
        found = wordings(kind, view)
        assert 6 <= len(found) <= 10 and len(set(found)) == len(found)
        assert all(("{options}" in text) == (kind in ("emotion", "sentiment", "intent", "multi-label")) for text in found)


def test_no_prompt_tells_or_rules_out_the_answer():
    """The words around the options hold no label of any set, and `not neutral` is said nowhere."""
    every = {n for reader in reader_specs.names() for t in reader_specs.load_reader(reader).tasks for n in t.label_set()} | {
        *LABELS,
        *INTENTS,
    }
    for table in pools("tasks").values():
        for text in (text for pool in table.values() for text in pool):
            assert not re.search(r"(not|no|non|except|without|other than)[ -]+neutral", text, re.IGNORECASE)
    for kind in ("emotion", "sentiment", "intent", "multi-label", "think"):
        for view in MEDIA:
            for text in wordings(kind, view):
                words = text.replace("{options}", "").lower()
                assert not [n for n in every if re.search(rf"\b{re.escape(n.lower())}\b", words)], text


@pytest.mark.parametrize("kind", ["emotion", "sentiment", "intent", "multi-label", "think"])
def test_the_options_are_the_whole_label_set_whatever_the_answer(kind):
    for number in range(6):
        one = sample(kind, number)
        task = tasks_for(kind, one)[0]
        for seed in range(40):
            asked = ask(task, one, variant=seed, rng=random.Random(seed), kind=kind)
            assert sorted(asked.options) == sorted(task.label_set) and ", ".join(asked.options) in asked.question
            assert not re.search("not neutral", asked.question, re.IGNORECASE)
        plain = ask(task, one, kind=kind)
        assert plain.options == task.label_set, "evaluation keeps the order that is given"


def test_where_the_answer_stands_among_the_options_cannot_be_guessed():
    """3,000 orders of six labels: each place holds the answer 500 times, give or take four standard deviations (4 x 20.4)."""
    one = sample("emotion", 2)
    places, pairs = Counter(), Counter()
    for seed in range(3000):
        rng = random.Random(f"0/{seed}")
        asked = ask(one.tasks[0], one, variant=rng.randrange(5040), rng=rng)
        places[asked.options.index(asked.answer)] += 1
        pairs[asked.options.index("sad") < asked.options.index("happy")] += 1
    assert sorted(places) == list(range(6)) and all(abs(n - 500) < 82 for n in places.values())
    assert abs(pairs[True] - 1500) < 110


def test_the_wording_tells_nothing_of_the_order():
    one, seen = sample("sentiment", 0), {}
    for seed in range(4200):
        rng = random.Random(f"1/{seed}")
        variant = rng.randrange(5040)
        seen.setdefault(variant % 7, Counter())[ask(one.tasks[0], one, variant=variant, rng=rng).options] += 1
    assert all(len(orders) == 6 and min(orders.values()) > 60 and max(orders.values()) < 145 for orders in seen.values())


def test_answers():
    assert put("emotion", number=4).answer == "sad"
    assert put("multi-label", number=3).answer == "fear, neutral", "in the order of the label set"
    assert put("valence").answer == "-1.50" and "-3" in put("valence").question and "3" in put("valence").question
    assert put("think", number=2).answer == "What is to be said of the multimodal.\nAnswer: happy"
    assert put("empathy").answer == "That sounds hard. I am here."
    assert put("empathy-chain").answer.startswith(
        "Event: lost keys\nEmotion: upset\nCause: no way home\nGoal: to calm\n\nThat sounds hard."
    )
    assert put("question").question == "Do the brows move?" and put("question").answer == "Yes, they rise."
    assert put("describe-units").answer == "What is to be said of the units."


def test_what_a_sample_may_be_asked():
    every = UnifiedSample.model_validate_json(json.dumps(row("made", 0, KINDS)))
    assert kinds(every) == KINDS
    assert kinds_of(["emotion", "reason"], ["multimodal"], chain=False) == ("emotion", "reason", "think")
    assert kinds_of(["reason"], ["multimodal", "audio"], chain=False) == ("reason",)
    assert [usual_kind(t, every) for t in every.tasks][-1] == "empathy-chain"
    assert view_of(every.model_copy(update={"media": Media(image="a.png", audio="a.wav")})) == "clip"
    with pytest.raises(DataError, match=r"'made/0' cannot be asked 'think' of its task 'emotion'; it can be asked: emotion"):
        one = sample("emotion")
        ask(one.tasks[0], one, kind="think")
