"""Grouping by emotion wheels: published behaviour, hand-worked scores, and properties of the scores."""

import random

import pytest

from emollm.errors import DataError
from emollm.evaluation.wheel import MODES, Vocabulary, Wheel, hit_scores, label_words, load_vocabulary, set_scores

V = load_vocabulary()
# label(s) -> inner word on wheels 1 to 5 in official mode, "-" where dropped; MELD-like label lists meet all of these
OFFICIAL = {
    "angry anger": "mad angry mad anger mad",
    "happy joy happiness": "happy happy joyful joy powerful",
    "sad sadness": "sad sad sad sad sad",
    "worried anxious nervous": "scared fearful scared fear scared",
    "surprise": "surprised surprised powerful fear -",
    "disgust": "disgusted disgusted - disgust -",
    "fear": "scared happy joyful genius joyful",
    "excited": "surprised happy joyful genius joyful",
    "contempt": "- angry - - -",
    "frustrated": "sad sad mad sad mad",
    "calm": "happy happy peaceful joy peaceful",
    "neutral": "- - - - -",
    "sarcastic": "mad - mad - -",
}
LABELS = ("happy", "sad", "angry", "worried", "surprise", "neutral")


def toy():
    """Two wheels of few words, so that scores can be worked by hand."""
    one = Wheel("one", "", {"glad": "good", "merry": "good", "low": "bad", "cross": "bad", "good": "good", "bad": "bad"})
    two = Wheel("two", "", {"glad": "warm", "merry": "hot", "low": "cold", "warm": "warm", "hot": "hot", "cold": "cold"})
    words = {word: (word,) for wheel in (one, two) for word in wheel.core_of}
    return Vocabulary((one, two), {**words, "chilly": ("low", "bad")}, {}, frozenset({"neutral"}), frozenset())


@pytest.mark.parametrize(("labels", "cores"), OFFICIAL.items())
def test_published_behaviour(labels, cores):
    for label in labels.split():
        assert [V.core(label, wheel, "official") or "-" for wheel in V.wheels] == cores.split()


def test_fixed_mode_mends_fear_and_happy():
    assert [V.core("fear", w, "fixed") for w in V.wheels] == ["scared", "fearful", "scared", "fear", "scared"]
    assert [V.core("fearful", w, "fixed") for w in V.wheels] == ["scared", "fearful", "scared", "fear", "scared"]
    assert [V.core("happy", w, "fixed") for w in V.wheels] == ["happy", "happy", "joyful", "joy", "joyful"]


def test_fixed_mode_prefers_the_word_itself():
    for wheel in V.wheels:
        for word, core in wheel.core_of.items():
            assert V.core(word, wheel, "fixed") == core


@pytest.mark.parametrize(
    ("form", "base"),
    [
        ("happiness", "happy"), ("Angrily", "angry"), ("saddest", "sad"), ("excitement", "excited"),
        ("frustration", "frustrated"),
        ("irritating", "irritated"), ("amazingly", "amazed"), ("jealousy", "jealous"), ("insecurity", "insecure"),
        ("annoyance", "annoyed"),
        ("optimism", "optimistic"), ("confidence", "confident"), ("anxiety", "anxious"), ("depressing", "depressed"),
        ("sorrow", "sorrowful"),
        ("hopelessness", "hopeless"), ("worries", "worried"), ("aggression", "aggressive"), ("disappointments", "disappointed"),
    ],
)  # fmt: skip
def test_word_forms(form, base):
    assert base in V.bases(form)


def test_words_that_lead_nowhere():
    for word in ("table", "neutral", "seconds", "", "ly", "the"):
        assert V.bases(word) == ()


def test_free_text():
    assert label_words("The man is happy and, although not sad, a little worried.") == ["happy", "worried"]
    assert label_words("She shows no fear; she isn't angry either, rather relieved") == ["relieved"]
    assert label_words("The content of the words is important; she looks content.") == ["content"]
    assert label_words("neither happy nor sad") == []
    assert label_words("It is important that he seems tired. An open, content-free remark.") == ["tired"]
    assert label_words("Anger, frustration; anger and tense") == ["anger", "frustration", "tense"]
    assert label_words("['happy', 'neutral']") == ["happy", "neutral"]
    assert label_words("<think>angry?</think> calm") == ["calm"]
    assert label_words("not only sad but also furious") == ["sad", "furious"]
    assert label_words("") == []


def test_set_scores_by_hand():
    samples = [
        ({"glad"}, {"merry", "low"}),  # one: {good} {good bad}; two: {warm} {hot cold}
        ({"low", "merry"}, {"chilly"}),  # one: {bad good} {bad}; two: {cold hot} {cold}
        ({"neutral"}, {"glad"}),  # left out
        ({"glad"}, {"nonsense"}),  # precision and recall 0
    ]
    s = set_scores(samples, "fixed", toy())
    p1, r1 = (1 / 2 + 1 + 0) / 3, (1 + 1 / 2 + 0) / 3
    p2, r2 = (0 + 1 + 0) / 3, (0 + 1 / 2 + 0) / 3
    assert s.precision == pytest.approx((p1 + p2) / 2)
    assert s.recall == pytest.approx((r1 + r2) / 2)
    assert s.f == pytest.approx((2 * p1 * r1 / (p1 + r1) + 2 * p2 * r2 / (p2 + r2)) / 2)
    assert s.kept == pytest.approx(3 / 4)


def test_official_mode_takes_the_first_in_the_alphabet():
    # "chilly" reaches low and bad, both on wheel one; on wheel two only low stands
    v = toy()
    assert [v.core("chilly", w, "official") for w in v.wheels] == ["bad", "cold"]
    swapped = Vocabulary(v.wheels, {**v.synonyms, "odd": ("low", "glad")}, {}, v.neutral, v.ambiguous)
    assert [swapped.core("odd", w, "official") for w in v.wheels] == ["good", "warm"]
    assert [swapped.core("odd", w, "fixed") for w in v.wheels] == ["bad", "cold"]


def test_hit_scores_by_hand():
    samples = [("glad", {"merry", "low"}), ("low", {"low"}), ("neutral", {"neutral"}), ("neutral", {"glad", "neutral"})]
    s = hit_scores(samples, ("glad", "merry", "low", "neutral"), "fixed", toy())
    # wheel one: glad -> good in {good bad}: hit, shared by 2; low hit alone. wheel two: warm not in {hot cold}; low hit alone
    assert s.hit == pytest.approx((2 / 2 + 1 / 2) / 2)
    assert s.mscore == pytest.approx(((1 / 2 + 1) / 2 + (0 + 1) / 2) / 2)
    assert s.chance == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert s.above_chance == pytest.approx(((3 / 4 - 1 / 2) / (1 / 2) + (1 / 2 - 1 / 3) / (2 / 3)) / 2)
    assert s.kept == pytest.approx(2 / 4)
    # neutral kept: credits 1/2 1 1 1/2 on wheel one, 0 1 1 1/2 on wheel two
    assert s.neutral_accuracy == pytest.approx((3 / 4 + 2.5 / 4) / 2)
    assert s.neutral_uar == pytest.approx(((1 / 2 + 1 + 3 / 4) / 3 + (0 + 1 + 3 / 4) / 3) / 2)


@pytest.mark.parametrize("mode", MODES)
def test_listing_every_label_can_never_raise_mscore(mode):
    """Where something was hit it can only lower the mscore, and alone it earns what a blind guess earns: nothing above chance."""
    rng = random.Random(0)
    for _ in range(40):
        truth = [rng.choice(LABELS[:5]) for _ in range(8)]
        said = [set(rng.sample(LABELS, rng.randint(0, 3))) for _ in truth]
        before = hit_scores(list(zip(truth, said, strict=True)), LABELS, mode)
        after = hit_scores([(t, set(LABELS)) for t in truth], LABELS, mode)
        assert after.hit == 1
        assert after.mscore == pytest.approx(after.chance)
        assert after.above_chance == pytest.approx(0, abs=1e-12)
        assert after.above_chance <= before.above_chance + 1e-12
        right = [(t, {t, *p}) for t, p in zip(truth, said, strict=True)]
        assert hit_scores([(t, p | set(LABELS)) for t, p in right], LABELS, mode).mscore <= hit_scores(right, LABELS, mode).mscore + 1e-12


@pytest.mark.parametrize("mode", MODES)
def test_bounds_and_perfect_answers(mode):
    samples = [(label, {label}) for label in LABELS]
    s = hit_scores(samples, LABELS, mode)
    assert (s.hit, s.mscore, s.neutral_accuracy, s.neutral_uar) == (1, 1, 1, 1)
    assert set_scores([({t}, p) for t, p in samples], mode).f == 1
    rng = random.Random(1)
    for _ in range(20):
        s = hit_scores([(rng.choice(LABELS[:4]), set(rng.sample(LABELS, 2))) for _ in range(5)], LABELS, mode)
        assert s.mscore <= s.hit <= 1


def test_fear_clips_reward_joy_only_in_official_mode():
    samples = [("fear", {"joy"})] * 3
    labels = ("joy", "fear", "sad", "neutral", "anger", "surprise", "disgust")
    # official: W2 happy = happy, W3 joyful = joyful; W1, W4 and W5 differ
    assert hit_scores(samples, labels, "official").hit == pytest.approx(2 / 5)
    assert hit_scores(samples, labels, "fixed").hit == 0


def test_faults_are_said(tmp_path):
    with pytest.raises(DataError, match="neutral and unknown"):
        hit_scores([("neutral", {"happy"})], LABELS, "fixed")
    with pytest.raises(DataError, match="neutral and unknown"):
        set_scores([], "official")
    with pytest.raises(DataError, match="no file at"):
        load_vocabulary(tmp_path)
    (tmp_path / "words.toml").write_text(
        'order = ["w"]\nneutral = []\nambiguous = []\nlinks = []\ndenials = []\npersons = []\n[synonyms]\nodd = ["nowhere"]\n[forms]\n'
    )
    (tmp_path / "w.toml").write_text('name = "w"\nabout = ""\n[rings.good]\nglad = ["merry"]\n')
    with pytest.raises(DataError, match="stand on no wheel: nowhere"):
        load_vocabulary(tmp_path)
