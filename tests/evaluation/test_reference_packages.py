"""Held against other people's code, live where it is installed (it is a development dependency); COCO's is held by recorded numbers."""

import random

import pytest

from emollm.evaluation.captions import bleu, rouge_l

WORDS = ("the", "brows", "rise", "and", "eyes", "open", "mouth", "turns", "left", "head", "slowly", "corners")


def drawn(seed, references):
    rng = random.Random(seed)

    def text():
        return " ".join(rng.choices(WORDS, k=rng.randint(4, 14)))

    return [(text(), [text() for _ in range(references)]) for _ in range(20)]


@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_bleu_is_that_of_sacrebleu(seed, references):
    package = pytest.importorskip("sacrebleu")
    samples = drawn(seed, references)
    found = bleu(samples)
    for n in (1, 2, 3, 4):
        theirs = package.BLEU(max_ngram_order=n, smooth_method="none", tokenize="none", force=True)
        columns = [[r[k] for _, r in samples] for k in range(references)]
        assert found[f"bleu_{n}"] == pytest.approx(theirs.corpus_score([f for f, _ in samples], columns).score / 100, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_rouge_is_that_of_rouge_score(seed):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=False)
    samples = drawn(seed, 1)
    theirs = sum(scorer.score(r[0], f)["rougeL"].fmeasure for f, r in samples) / len(samples)
    assert rouge_l(samples, beta=1) == pytest.approx(theirs, abs=1e-6)
