import json
import random
import re
from collections import Counter

import pytest

from emollm import catalog
from emollm.data.plain import OTHER, Meant, answer, fault_of, meanings_of, meant, missing, plain, spoken
from emollm.data.prompts import pools


def test_every_meaning_has_texts_and_every_answer_is_short_and_plain():
    known = Counter(one.meaning for one in meant())
    assert set(known) == {*pools("plain"), OTHER}
    assert min(known.values()) >= 40
    for meaning in pools("plain"):
        for seed in range(60):
            told = answer(meaning, random.Random(seed), later=seed % 2 == 1)
            assert 3 <= len(told.split()) <= 40, told
            assert not re.search(r"\{|\n|\b(988|911|112)\b", told), told


def test_what_it_is_about_is_named():
    told = {answer("loss", random.Random(seed), about="your dog") for seed in range(20)}
    assert all("your dog" in one for one in told)
    assert all("{" not in one for one in told)
    later = {answer("loss", random.Random(seed), about="your dog", later=True) for seed in range(20)}
    good = {answer("achievement", random.Random(seed), about="your diagnosis") for seed in range(20)}
    assert not any("your dog" in one for one in later), "once is enough"
    assert not any("diagnosis" in one for one in good), "a wrong word is worst in a congratulation"


def test_no_sentence_is_said_twice():
    said = "I am so sorry. How are you holding up today?"
    for seed in range(100):
        told = answer("loss", random.Random(seed), later=True, said=said)
        assert not told.startswith("I am so sorry. ") and "holding up today" not in told
    assert answer("loss", random.Random(0), later=True, said=" ".join(pools("plain")["loss"]["meet"]))


def test_a_missing_answer_is_of_another_meaning():
    own = {answer("loss", random.Random(seed)).split(".")[0] for seed in range(200)}
    for seed in range(200):
        assert missing("loss", random.Random(seed)).split(".")[0] not in own


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        (Meant((("user", "a"),), "joyful"), "has no answers"),
        (Meant((("user", "a"), ("assistant", "b")), "joy"), "user first and the user last"),
        (Meant((("user", " "),), "joy"), "empty"),
        (Meant((("user", "a"),), OTHER, better="x", worse="x"), "the same"),
        (Meant((("user", "a"),), OTHER, better="x", worse="y"), ""),
        (Meant((("user", "a"),), "loss", about="your dog"), ""),
    ],
)
def test_faults(one, fault):
    found = fault_of(one)
    assert fault in found and bool(found) == bool(fault)


def test_the_first_word_tells_the_meaning():
    first = {
        meaning: {re.match(r"\w+", s)[0] for pool in ("meet", "about", "help") for s in table.get(pool, ())}
        for meaning, table in pools("plain").items()
    }
    for one, words in first.items():
        for other, others in first.items():
            if one != other and {one, other} != {"loss", "sadness"}:
                assert not words & others, (one, other)


def test_an_answer_tells_its_meaning_however_short_it_is_cut():
    for meaning, table in pools("plain").items():
        for text in [*table.get("meet", ()), *table.get("about", ()), *table.get("help", ())]:
            assert meanings_of(text.format(about="your dog")) == {meaning}, text
    assert meanings_of("Congrat") == {"achievement"} and meanings_of(" No wonder") == {"anger"}
    assert meanings_of("I am so") == {"loss"} and meanings_of("I am") == {"loss", "sadness"}
    assert meanings_of("") == meanings_of("Perhaps.") == meanings_of("Nothing") == set()


def test_only_the_last_answer_is_learned_now_and_then_beside_one_that_it_is_to_beat():
    samples = plain(300, random.Random(0))
    assert len(samples) == 300
    for sample in samples:
        assert sample.turns[-1].learn and sum(t.learn for t in sample.turns) == 1
        assert sample.worse != sample.turns[-1].text
    assert 30 < sum(bool(s.worse) for s in samples) < 270
    assert any(len(s.turns) > 2 and s.worse == s.turns[-3].text for s in samples), "an echo is among the worse ones"


def test_spoken_texts_look_like_a_transcript():
    found = spoken()
    assert set(found) == {"happy", "sad", "angry", "fear", "neutral"}
    for texts in found.values():
        assert len(texts) > 50
        for text in texts:
            assert text[0] == text[0].upper() and text[-1] in ".!?"


def test_no_text_is_near_a_test_dialogue():
    def words(text):
        return frozenset(re.findall(r"[a-z']+", text.lower()))

    lines = (catalog.folder("eval") / "dialogues.jsonl").read_text("utf-8").splitlines()
    asked = {words(turn["say"]) for line in lines for turn in json.loads(line)["turns"]}
    asked = {one for one in asked if len(one) > 3}
    assert len(asked) > 100
    for one in meant():
        said = words(one.turns[-1][1])
        if len(one.turns) == 1 and len(said) > 3:
            assert not any(len(said & other) >= 0.75 * len(said | other) for other in asked), one
