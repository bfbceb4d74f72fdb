import json
import random
import re

import pytest

from emollm.data.conversation import ClipView
from emollm.data.corpus import Item
from emollm.data.features import Seen
from emollm.data.film import FilmTeller, clause, feelings, film_items
from emollm.errors import DataError

MOVES = ((0.6, ("nose wrinkles", "upper lip rises")), (2.2, ("glances to the left",)), (4.1, ("eyes widen", "inner brows rise")))
EVENTS = [
    {"kind": "expression", "name": "disgust", "onset": 0.4, "offset": 2.0, "strength": 0.9},
    {"kind": "glance", "name": "left", "onset": 2.1, "offset": 3.0, "strength": 1.0},
    {"kind": "expression", "name": "fear", "onset": 3.9, "offset": 6.0, "strength": 0.7},
]


def film(moves=MOVES, events=EVENTS, masked=None, words=None, **view):
    item = Item(
        "films/a/1",
        "films",
        "face",
        "train",
        "disgust",
        "7",
        text="It is near.",
        extra={"events": events, "masked": masked, "words": words},
    )
    return Seen(item, ClipView("video", 6.5, {"face": 2, "voice": 1}, moves=moves, **view), {})


def talks(seen, count=300):
    return [FilmTeller(random.Random(k)).tell(seen) for k in range(count)]


def test_no_answer_tells_a_movement_that_was_not_measured():
    unmeasured = re.compile("lips press|cheeks rise|mouth opens|nods|shakes|corners of the mouth (?:rise|turn)|brows draw")
    answers = [t.text for s in talks(film()) for t in s.turns if t.role == "assistant"]
    assert not [text for text in answers if unmeasured.search(text)]


def test_times_and_order_are_those_measured():
    when = {w: t for t, what in MOVES for w in what}
    orders = times = 0
    for sample in talks(film()):
        for user, answer in zip(sample.turns[::2], sample.turns[1::2], strict=True):
            named = [w for w in when if clause(w) in user.text]
            if "first" in user.text and len(named) == 2 and not answer.text.startswith(("They come", "Both")):
                first = min(named, key=when.__getitem__)
                second = next(w for w in named if w != first)
                assert answer.text.lower().index(clause(first)) < answer.text.lower().index(clause(second))
                orders += 1
            if user.text.startswith(("When", "At what", "At which")) and len(named) == 1:
                assert f"{when[named[0]]:.1f}" in answer.text
                times += 1
    assert orders > 10 and times > 10


def test_parts_are_put_before_or_after_the_head_as_they_were_measured():
    asked = 0
    for sample in talks(film(), 600):
        for user, answer in zip(sample.turns[::2], sample.turns[1::2], strict=True):
            if found := re.search(r"(eyes|brows|lips) move before or after the person glances to the left", user.text):
                asked += 1
                sooner = found[1] == "lips"  # at 0.6 s; the glance comes at 2.2, eyes and brows at 4.1
                assert (
                    answer.text.startswith(("Before", "The lips move first"))
                    if sooner
                    else answer.text.startswith(("After", "First the person"))
                )
                assert ("0.6" if sooner else "2.2") in answer.text
    assert asked > 10


def test_a_movement_is_asked_for_in_several_words_and_answered_in_those_of_the_question():
    heard = set()
    for sample in talks(film(), 600):
        for user, answer in zip(sample.turns[::2], sample.turns[1::2], strict=True):
            called = {w for w in ("the eyes widen", "the eyes open wide", "the upper lids go up") if w in user.text}
            heard |= called
            if called and "first" in user.text and not answer.text.startswith(("They come", "Both")):
                assert called.pop() in answer.text.lower()
    assert len(heard) == 3


def test_a_change_is_told_with_both_moods():
    changes = [a.text for s in talks(film()) for q, a in zip(s.turns[::2], s.turns[1::2], strict=True) if "change" in q.text]
    assert changes and all("4.1" in text and "disgusted" in text and "afraid" in text for text in changes)


def test_only_what_can_be_named_is_named():
    assert feelings(film().item, film().view) == [(0.4, "disgust"), (3.9, "fear")]
    assert feelings(film(masked=["sad"]).item, film().view) is None
    pain = [{"kind": "expression", "name": "pain", "onset": 0.4, "offset": 5.0, "strength": 0.9}]
    assert feelings(film(events=pain).item, film().view) is None
    assert feelings(film(moves=()).item, film(moves=()).view) == []  # nothing measured, nothing claimed
    late = [e for e in EVENTS if e["name"] == "fear"]
    assert feelings(film(moves=MOVES[2:], events=late).item, film(moves=MOVES[2:]).view) == [(0.0, "neutral"), (3.9, "fear")]


def test_a_still_face_is_called_still():
    answers = " ".join(t.text for s in talks(film(moves=(), events=[]), 60) for t in s.turns if t.role == "assistant")
    assert re.search("hardly moves|no clear movement", answers) and not re.search(r"at \d", answers)


def test_films_of_a_folder(tmp_path):
    row = {
        "name": "train-1", "split": "train", "seconds": 4.0,
        "people": [
            {"main": False, "person": 3, "events": [], "masked": None, "speaks": False, "text": "", "text_emotion": None},
            {"main": True, "person": 4, "events": EVENTS, "masked": None, "speaks": True, "text": "No!", "text_emotion": "fear"},
        ],
    }  # fmt: skip
    (tmp_path / "truth.jsonl").write_text(json.dumps(row) + "\n")
    (item,) = film_items(tmp_path)
    assert (item.label, item.speaker, item.text, item.split) == ("disgust", "4", "No!", "train")
    assert item.path == str(tmp_path / "clips" / "train-1.mp4")
    with pytest.raises(DataError, match="emollm synth"):
        film_items(tmp_path / "nowhere")
