"""Word-sequence scores against hand-worked numbers and numbers of the reference packages.

Reference numbers: pycocoevalcap 1.2 (CIDEr-D, ROUGE-L, BLEU), the same with clipping and length factor taken out (plain CIDEr),
sacrebleu 2.6.0 (BLEU, no smoothing, no tokeniser), rouge_score 0.1.2 (ROUGE-L with beta 1).
"""

import math
import random

import pytest

from emollm.errors import DataError
from emollm.evaluation.captions import bleu, cider, cider_d, common, distinct, rouge_l, words

SAMPLES = [
    ("the brows rise and the eyes open wide", ["the eyebrows rise and the eyes widen", "her brows rise while her eyes open wide"]),
    (
        "at the beginning the mouth is closed then the lips part",
        ["at the beginning of the video the lips are closed then the mouth opens"],
    ),
    (
        "the head turns to the left and the head turns to the left",
        ["the head turns slowly to the left", "he turns the head to the left and nods"],
    ),
    ("the person smiles", ["the corners of the mouth rise and the person smiles"]),
]


def test_tokeniser():
    assert words("She doesn't smile; half-open lips (0.5 s)!") == ["she", "doesn't", "smile", "half-open", "lips", "0", "5", "s"]
    assert words("Don’t") == ["don't"]
    assert words(" .,! ") == []


def test_reference_cider():
    assert cider_d(SAMPLES) == pytest.approx(2.4918568736251188, abs=1e-6)
    assert cider(SAMPLES) == pytest.approx(3.840015726241468, abs=1e-6)


def test_reference_rouge():
    assert rouge_l(SAMPLES) == pytest.approx(0.5694806200313857, abs=1e-6)
    assert rouge_l([(f, r[:1]) for f, r in SAMPLES], beta=1) == pytest.approx(0.5720512820512821, abs=1e-6)


def test_reference_bleu():
    expected = [0.6498980549615093, 0.5792863976448378, 0.45506312142224703, 0.288248230782885]  # sacrebleu
    coco = [0.6498980549243724, 0.5792863976106678, 0.45506312139440025, 0.28824823076446376]
    found = list(bleu(SAMPLES).values())
    assert found == pytest.approx(expected, abs=1e-9)
    assert found == pytest.approx(coco, abs=1e-6)


def test_bleu_by_hand():
    # "a b c" against "a b d e": 2 of 3 words, 1 of 2 pairs, 0 of 1 triples; brevity exp(1 - 4/3)
    short = math.exp(1 - 4 / 3)
    found = bleu([("a b c", ["a b d e"])])
    assert found["bleu_1"] == pytest.approx(short * 2 / 3)
    assert found["bleu_2"] == pytest.approx(short * math.sqrt(2 / 3 * 1 / 2))
    assert (found["bleu_3"], found["bleu_4"]) == (0, 0)
    # counts are clipped: "the" is in the reference once
    assert bleu([("the the the", ["the cat sat"])])["bleu_1"] == pytest.approx(1 / 3)


def test_rouge_by_hand():
    # common "a c": P = 2/3, R = 2/4, F with beta 1.2: 2.44 * P * R / (R + 1.44 P)
    expected = 2.44 * (2 / 3) * (2 / 4) / (2 / 4 + 1.44 * 2 / 3)
    assert rouge_l([("a b c", ["a c d e"])]) == pytest.approx(expected)
    assert common("abcbdab", "bdcaba") == 4


def test_cider_by_hand():
    # two items, words a..d; a stands in both references: idf log(2/2) = 0, b and c in one: log 2
    samples = [("a b", ["a b"]), ("a b", ["a c"])]
    # item 1: words: only b counts, cosine 1; pairs: "a b" in both texts, cosine 1; no longer runs: 0, 0 -> 10 * 2/4
    # item 2: b against c: 0; "a b" against "a c": 0
    assert cider(samples) == pytest.approx(10 * (2 / 4 + 0) / 2)
    assert cider_d(samples) == pytest.approx(10 * (2 / 4 + 0) / 2)


def test_repeating_pays_in_cider_but_not_in_cider_d():
    others = [("x y z u", ["x y z u"]), ("k l m n", ["k l m n"])]
    once, often = [("lips part", ["the lips part slowly"]), *others], [("lips part " * 8, ["the lips part slowly"]), *others]
    # the other two items score 10 each; what is left of three times the mean is the first item's
    assert 3 * cider_d(often) - 20 < 0.5 * (3 * cider_d(once) - 20)
    assert 3 * cider(often) - 20 > 0.8 * (3 * cider(once) - 20)


def test_properties():
    rng = random.Random(0)
    vocabulary = ["brows", "eyes", "lips", "head", "rise", "sink", "part", "turn", "left", "right"]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randint(5, 12))) for _ in range(12)]
    same = [(t, [t]) for t in texts]
    assert cider(same) == pytest.approx(10)
    assert cider_d(same) == pytest.approx(10)
    assert rouge_l(same) == pytest.approx(1)
    assert list(bleu(same).values()) == pytest.approx([1] * 4)
    mixed = [(a, [b]) for a, b in zip(texts, texts[1:] + texts[:1], strict=True)]
    assert 0 <= cider_d(mixed) <= cider(mixed) + 1e-9 < 10
    scores = list(bleu(mixed).values())
    assert scores == sorted(scores, reverse=True)
    assert cider([("a b", ["a b"])]) == 0  # one item: every idf is log 1


def test_empty_text_and_faults():
    assert rouge_l([("", ["a b"])]) == 0
    assert bleu([("", ["a b"])])["bleu_1"] == 0
    assert cider_d([("", ["a b"]), ("c", ["c d"])]) >= 0
    with pytest.raises(DataError, match="at least one reference"):
        bleu([("a", [])])
    with pytest.raises(DataError, match="at least one item"):
        cider([])


def test_distinct_by_hand():
    replies = ["a b a b", "<think>x x x</think>a c"]
    # each alone: 2 of 4 and 2 of 2 words; pairs ab ba ab: 2 of 3, and 1 of 1
    assert distinct(replies, 1) == pytest.approx((2 / 4 + 2 / 2) / 2)
    assert distinct(replies, 2) == pytest.approx((2 / 3 + 1) / 2)
    # one pool: a b c of 6 words; ab ba ac of 4 pairs
    assert distinct(replies, 1, together=True) == pytest.approx(3 / 6)
    assert distinct(replies, 2, together=True) == pytest.approx(3 / 4)
    assert distinct(["hi"], 2) == 0
