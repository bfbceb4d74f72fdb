"""The pools of the open corpus: every clause means its unit to the grammar, every shape can be filled, every sentence has an answer."""

import random
import string

import pytest

from emollm.data.open_corpus.phrases import fill, listed, pool, seconds
from emollm.evaluation.events import movements


def test_every_clause_is_read_as_its_unit():
    book = pool("clip_moves")
    wrong = []
    for unit, rows in book["say"].items():
        for subject, does, base, _ in rows:
            for text in (f"{subject} {does}.", f"{subject} {base}."):
                read = [[m.part, m.axis, m.sign] for m in movements(text)]
                if not read or any(one not in book["means"][unit] for one in read):
                    wrong.append((unit, text, read))
    assert not wrong


def test_every_movement_of_the_head_is_read_as_itself():
    book = pool("clip_moves")
    for name, rows in book["head"].items():
        for says, _ in rows:
            assert [[m.part, m.axis, m.sign] for m in movements(f"The person {says}.")] == [book["head_means"][name]], says


def test_every_sentence_of_the_renderer_has_a_reply():
    from emollm.synth.book import book

    known = pool("clip_care")["said"]
    assert not [line for family, lines in book("sentences").items() if family != "neutral" for line in lines if line not in known]


@pytest.mark.parametrize("name", ["clip_questions", "clip_stories", "clip_care", "faces", "speech", "text", "paired"])
def test_no_place_in_a_shape_is_left_open(name):
    def texts(node):
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            for inner in node.values():
                yield from texts(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from texts(inner)

    for text in texts(pool(name)):
        for _, place, spec, conversion in string.Formatter().parse(text):
            assert place is None or (place.replace("_", "").isalpha() and not spec and not conversion), text


def test_quotations_keep_one_full_stop():
    rng = random.Random(0)
    assert fill(rng, ['{who} says "{text}".'], who="the person", text="All is well.") == 'The person says "All is well."'
    assert fill(rng, ['the words "{text}" are calm.'], text="All is well.") == 'The words "All is well" are calm.'
    assert (listed(["a", "b", "c"]), seconds(1.26)) == ("a, b and c", "1.3")
