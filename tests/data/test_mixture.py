import random
import re

import pytest
import tiny_data
import torch

from emollm.data.conversation import ClipView
from emollm.data.corpus import Corpus, Item
from emollm.data.features import FeatureStore, Seen
from emollm.data.mixture import Mixture
from emollm.data.prompts import label_question, pools
from emollm.data.talk import second_reading
from emollm.data.tasks import Head, agree, draw, in_sequence, recognise_parts
from emollm.data.texts import FOLLOWED_REMARKS, care, dialogues, recognise_dialogue, recognise_remarks, say, with_context
from emollm.errors import DataError
from emollm.recipe import load_recipe

MIX = """
[[sources]]
task = "recognise"
corpora = ["pics"]
count = 8
[[sources]]
task = "recognise-pair"
corpora = ["talk"]
faces = ["pics"]
count = 6
[[sources]]
task = "recognise-text"
corpora = ["lines"]
count = 6
[[sources]]
task = "recognise-parts"
corpora = ["pics"]
voices = ["talk"]
count = 12
[[sources]]
task = "recognise-dialogue"
corpora = ["lines"]
count = 3
[[sources]]
task = "talk"
corpora = ["pics"]
voices = ["talk"]
words = ["lines"]
count = 30
[[sources]]
task = "reply"
corpora = ["pics"]
voices = ["talk"]
words = ["lines"]
count = 8
[[sources]]
task = "say"
corpora = []
count = 5
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus(tiny_data.build(tmp_path_factory.mktemp("data")))


@pytest.fixture
def mixture_file(tmp_path):
    path = tmp_path / "mix.toml"
    path.write_text(MIX, "utf-8")
    return str(path)


def imagined(item):
    stream = "face" if item.modality == "face" else "voice"
    view = ClipView(
        "image" if stream == "face" else "audio",
        2.0,
        {stream: 1},
        {stream: (0.0,)},
        {stream: (("mouth open",) if stream == "face" else ("high pitch",),)},
    )
    return Seen(item, view, {stream: torch.zeros(1, 256)})


def is_parts(sample):
    return "Answer with one of" in sample.turns[0].text or "Answer each with one word" in sample.turns[0].text


def bare(question):
    """A question about a part without the list of options around it."""
    return re.sub(r"Answer each with one word of: [^.]*\. | Answer with one of: .*", "", question)


def made(path, corpus, seed=0):
    mixture = Mixture(path, corpus, seed=seed)
    return mixture.samples({i.id: imagined(i) for i in mixture.media()})


def test_same_seed_same_samples(mixture_file, corpus):
    assert [s.turns for s in made(mixture_file, corpus)] == [s.turns for s in made(mixture_file, corpus)]
    assert [s.turns for s in made(mixture_file, corpus)] != [s.turns for s in made(mixture_file, corpus, seed=1)]


def test_every_sample_ends_with_something_to_learn(mixture_file, corpus):
    samples = made(mixture_file, corpus)
    parts = [s for s in samples if is_parts(s)]
    assert 4 <= len(parts) <= 12, "faces are joined in ones, twos and threes"
    assert len(samples) - len(parts) == 8 + 6 + 6 + 3 + 30 + 8 + 5
    for sample in samples:
        assert sample.turns[-1].role == "assistant" and sample.turns[-1].learn and sample.turns[-1].text
        assert "{" not in "".join(t.text for t in sample.turns), "a placeholder was left unfilled"
        clips = [t.clip for t in sample.turns if t.clip]
        wanted = sum((c.tokens.get("face", 0) + c.tokens.get("voice", 0)) for c in clips)
        assert wanted == sum(len(f) for f in sample.features.values())


def test_talk_speaks_of_what_is_there(mixture_file, corpus):
    book = pools("dialogue")["evidence"]
    for sample in made(mixture_file, corpus):
        view = sample.turns[0].clip
        said = " ".join(t.text for t in sample.turns if t.role == "assistant")
        if view is None:
            continue
        if "face" in view.tokens:
            assert not any(s in said for s in book["no_face"])
        if "voice" in view.tokens:
            assert not any(s in said for s in book["no_voice"])


def test_what_to_say_is_learned_beside_what_would_miss_them(mixture_file, corpus):
    found = [s for s in made(mixture_file, corpus) if s.task == "reply"]
    assert len(found) == 8
    for sample in found:
        assert sample.worse and sample.worse != sample.turns[-1].text
        assert [t.learn for t in sample.turns] == [False] * (len(sample.turns) - 1) + [True]
        assert sample.turns[0].clip is not None and sample.turns[-2].text in pools("dialogue")["ask"]["reply"]


def test_parts_are_asked_one_by_one(mixture_file, corpus):
    for sample in made(mixture_file, corpus):
        if not is_parts(sample):
            continue
        view = sample.turns[0].clip
        questions = [t.text for t in sample.turns if t.role == "user"]
        assert len(questions) == view.tokens["face"] + view.tokens.get("voice", 0)
        options = questions[0]
        for turn in sample.turns[1::2]:
            assert turn.learn and turn.text in options
        if view.tokens["face"] > 1:
            assert len(set(view.marks_s["face"])) == view.tokens["face"]
        assert sum("voice" in bare(q) for q in questions) >= view.tokens.get("voice", 0)


def test_agreeing_samples_want_the_encoders_own_verdict(tmp_path, corpus):
    path = tmp_path / "agree.toml"
    path.write_text('[[sources]]\ntask = "agree"\ncorpora = ["pics", "talk"]\ncount = 20\n', "utf-8")
    mixture = Mixture(str(path), corpus)
    seen = {i.id: imagined(i) for i in mixture.media()}
    head = Head(("happy", "sad", "bored"), lambda tokens: torch.tensor([[0.6, 0.2, 0.2]]).expand(len(tokens), 3))
    samples = mixture.samples(seen, {"face": head, "voice": head})
    assert len(samples) >= 18
    for sample in samples:
        assert dict(sample.shares) == pytest.approx({"happy": 0.75, "sad": 0.25})  # among the options asked for
        view = sample.turns[0].clip
        assert all(len(sample.features[n]) == count for n, count in view.tokens.items() if n in ("face", "voice"))
        assert sample.turns[-1].text in sample.shares
    assert not mixture.samples(seen)  # without verdicts there is nothing to agree with


def test_a_token_in_between_is_neither_persons():
    item = Item("a", "pics", "face", "train", "happy", None)
    one, other = (Seen(item, ClipView("image", 0.0, {"face": 1}), {"face": torch.full((1, 4), v)}) for v in (0.0, 1.0))
    head = Head(("happy", "sad"), lambda tokens: torch.stack([1 - tokens.mean(1), tokens.mean(1)], 1))
    samples = [agree(one, other, "face", head, ("happy", "sad"), random.Random(k)) for k in range(40)]
    values = [float(s.features["face"].mean()) for s in samples]
    assert 0.2 < sum(v == 0 for v in values) / 40 < 0.7 and max(values) > 0.6
    for sample, value in zip(samples, values, strict=True):
        assert sample.shares["sad"] == pytest.approx(value, abs=1e-3)
        assert value == 0 or not sample.turns[0].clip.cues  # words measured on one person do not fit the mixture


def test_parts_name_the_label_of_their_own_stretch():
    def face(label):
        return imagined(Item(label, "c", "face", "train", label, None))

    rng = random.Random(0)
    for _ in range(30):
        seen, marks = in_sequence([face("neutral"), face("happy")], rng)
        sample = recognise_parts(seen, ["neutral", "happy"], marks, None, rng)
        told = {q.text: a.text for q, a in zip(sample.turns[::2], sample.turns[1::2], strict=True)}
        for question, answer in told.items():
            late = "end" in bare(question) or f"{marks[1]:.1f}" in bare(question)
            assert answer == ("happy" if late else "neutral"), question


def test_a_dialogue_is_asked_line_by_line(corpus):
    lines = dialogues(corpus.items("lines", "train"))[0]
    for seed in range(10):
        sample = recognise_dialogue(lines, ["angry", "happy", "sad"], random.Random(seed))
        answers = [t.text for t in sample.turns if t.role == "assistant"]
        assert answers == ["angry", "happy", "sad"][-len(answers) :], "the last answers are those of the last lines"
        assert all(t.learn for t in sample.turns if t.role == "assistant")


def test_troubles_are_not_answered_with_the_crisis_line():
    book = pools("dialogue")
    troubles = {line for group in book["trouble"].values() for line in group["user"]}
    assert troubles.isdisjoint(book["crisis"]["user"])
    heard = set()
    for seed in range(200):
        turns = say(random.Random(seed)).turns
        for asked, answer in zip(turns[::2], turns[1::2], strict=True):
            crisis = "112" in answer.text
            assert crisis == (asked.text in book["crisis"]["user"]), asked.text
            heard.add((asked.text in troubles, crisis))
    assert {(True, False), (False, True)} <= heard


def test_faulty_mixture_is_named(tmp_path, corpus):
    path = tmp_path / "bad.toml"
    path.write_text('[[sources]]\ntask = "dance"\ncorpora = []\ncount = 1\n', "utf-8")
    with pytest.raises(DataError, match=r"bad\.toml is faulty"):
        Mixture(str(path), corpus)


def test_context_is_the_lines_before(corpus):
    lines = with_context(corpus.items("lines", "train"))["lines:train:0:2"]
    assert [i.extra["turn"] for i in lines] == [0, 1, 2]


def test_balance_zero_draws_classes_alike():
    items = [Item(str(i), "c", "face", "train", "a" if i < 90 else "b", None) for i in range(100)]
    labels = [i.label for i in draw(items, 40, 0.0, random.Random(0))]
    assert labels.count("a") == labels.count("b") == 20
    assert [i.label for i in draw(items, 40, 1.0, random.Random(0))].count("b") == 4


def test_unclear_votes_give_a_second_reading():
    # neutral, happy, surprise, sad, angry, disgust, fear, contempt
    face = imagined(Item("x", "f", "face", "train", "sad", None, extra={"votes": [4, 0, 0, 5, 1, 0, 0, 0]}))
    assert second_reading(face) == "neutral"
    sure = imagined(Item("x", "f", "face", "train", "sad", None, extra={"votes": [1, 0, 0, 9, 0, 0, 0, 0]}))
    assert second_reading(sure) is None


def test_care_learns_only_the_reply():
    turns = [
        {"role": "seeker", "strategy": None, "text": "I lost my job."},
        {
            "role": "supporter",
            "strategy": "Reflection of feelings",
            "text": "That must be very hard for you, I can hear how worried you are about it.",
        },
    ]
    sample = care(Item("x", "esconv", "dialogue", "train", None, None, extra={"turns": turns}), random.Random(0))
    assert [t.learn for t in sample.turns] == [False, True]
    assert care(Item("x", "esconv", "dialogue", "train", None, None, extra={"turns": turns[:1]}), random.Random(0)) is None


def test_label_question_names_every_option():
    question = label_question(["happy", "sad"])
    assert "happy, sad" in question


OURS = load_recipe("emollm")


class _Perception:
    """Stands for the encoders: counts what it is asked, and can be made to stop."""

    calls = 0
    stop_at = None

    def analyze(self, path):
        from emollm.values import Analysis, Features

        type(self).calls += 1
        if self.stop_at is not None and type(self).calls > self.stop_at:
            raise KeyboardInterrupt
        features = {
            "face": Features(
                torch.full((1, 1, 256), float(type(self).calls)),
                torch.ones(1, 1, dtype=torch.bool),
                marks_s=(0.0,),
                cues=(("mouth open",),),
            )
        }
        return Analysis("x", "image", "d", 0.0, (), None, None, {}, features, {})


def test_features_are_kept_and_an_interrupted_build_goes_on(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("emollm.data.features.SHARD", 5)
    items = corpus.items("pics", "train")
    store = FeatureStore(corpus, tmp_path)
    _Perception.calls, _Perception.stop_at = 0, 7
    with pytest.raises(KeyboardInterrupt):
        store.build(items, _Perception)
    _Perception.stop_at = None
    store.build(items, _Perception)
    assert _Perception.calls == 8 + 7  # the first shard of five was kept, seven were left
    before = _Perception.calls
    store.build(items, _Perception)
    assert _Perception.calls == before
    seen = store.load(items, OURS)
    assert len(seen) == 12 and seen[items[0].id].view.cues == {"face": (("mouth open",),)}
    with pytest.raises(DataError, match="build them first"):
        store.load(corpus.items("talk", "train"), OURS)
    assert len(store.load(items[1:], OURS)) == 11  # another selection needs no new build


def test_remarks_are_asked_about_one_after_another_under_one_list():
    remarks = [Item(f"r{k}", "r", "text", "train", "joy", None, None, f"remark {k}", {"labels": ["joy", "love"]}) for k in range(30)]
    sample = recognise_remarks(remarks, ["joy", "love", "anger"], random.Random(0))
    asked, said = sample.turns[::2], sample.turns[1::2]
    assert len(asked) == FOLLOWED_REMARKS + 1 and all(t.learn for t in said) and not any(t.learn for t in asked)
    assert all(name in asked[0].text for name in ("joy", "love", "anger")) and "anger" not in asked[1].text
    assert {t.text for t in said} == {"joy", "love"}  # either of the two labels, in the course of ten remarks
    assert [f"remark {k}" in t.text for k, t in enumerate(asked)] == [True] * len(asked)
