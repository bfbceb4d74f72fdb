"""The arrays of a tally say what the plain functions say."""

import random

import numpy as np
import pytest

from emollm.errors import DataError
from emollm.evaluation import captions, multilabel, sentiment, wheel
from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.cards import Scored
from emollm.evaluation.recognition import parse_label, recognition
from emollm.evaluation.tally import tally
from emollm.evaluation.temporal import mean_tem

LABELS = ("happy", "sad", "angry", "neutral")


def card(task, headline, **more):
    return Scored(name="c", version=1, about="", task=task, headline=headline, **more)


def test_closed_sets_by_hand():
    # happy: 1 of 2 right, sad: 1 of 1, angry: 0 of 1 -> accuracy 2/4, UAR (1/2 + 1 + 0)/3 = 1/2
    truth, said = ["happy", "happy", "sad", "angry"], ["Happy.", "I think sad", "SAD", "no idea"]
    made = tally(card("recognition", "uar", labels=LABELS), [Reference(str(k), t) for k, t in enumerate(truth)], [Said(s) for s in said])
    found = made.all()
    assert found["accuracy"] == 0.5 and found["uar"] == pytest.approx(0.5)
    # F1: happy 2*1/(1+2) = 2/3, sad 2*1/(2+1) = 2/3, angry 0 -> weighted (2*2/3 + 2/3 + 0)/4 = 1/2
    assert found["weighted_f1"] == pytest.approx(0.5) and found["macro_f1"] == pytest.approx(4 / 9)
    # precision: happy 1/1, sad 1/2, angry nothing found so 0 -> (2*1 + 1*1/2 + 0)/4 = 0.625
    assert found["weighted_precision"] == pytest.approx(0.625)
    assert made.read == (True, True, True, False)


def test_closed_sets_agree_with_the_plain_functions():
    rng = random.Random(1)
    truth = rng.choices(LABELS, k=60)
    said = [rng.choice([*LABELS, "hm", "not happy", "happy or sad"]) for _ in truth]
    plain = recognition(truth, [parse_label(s, LABELS) for s in said], LABELS)
    made = tally(card("recognition", "uar", labels=LABELS), [Reference(str(k), t) for k, t in enumerate(truth)], [Said(s) for s in said])
    found = made.all()
    expected = {"accuracy": plain.war, "uar": plain.uar, "macro_f1": plain.macro_f1, "weighted_f1": plain.weighted_f1}
    assert {k: found[k] for k in expected} == pytest.approx(expected)
    assert sum(made.read) / 60 == pytest.approx(plain.parse_rate)


@pytest.mark.parametrize("mode", wheel.MODES)
def test_wheels_agree_with_the_plain_functions(mode):
    rng = random.Random(2)
    words = ["happy", "sad", "angry", "worried", "surprise", "fear", "neutral", "calm", "contempt", "zzz"]
    found = [tuple(rng.sample(words, rng.randint(0, 3))) for _ in range(40)]
    sets = [tuple(rng.sample(words, rng.randint(1, 3))) for _ in range(40)]
    made = tally(card("open-vocabulary", "f_fixed"), [Reference(str(k), labels=t) for k, t in enumerate(sets)], [Said(f) for f in found])
    plain = wheel.set_scores(list(zip(sets, found, strict=True)), mode)
    values = made.all()
    for name in ("f", "precision", "recall", "kept"):
        assert values[f"{name}_{mode}"] == pytest.approx(getattr(plain, name))
    singles = rng.choices(words[:-1], k=40)
    made = tally(card("open-vocabulary", "hit_fixed"), [Reference(str(k), t) for k, t in enumerate(singles)], [Said(f) for f in found])
    scores, values = wheel.hit_scores(list(zip(singles, found, strict=True)), set(singles), mode), made.all()
    for name in ("hit", "mscore", "above_chance", "neutral_accuracy", "neutral_uar", "kept"):
        assert values[f"{name}_{mode}"] == pytest.approx(getattr(scores, name))


@pytest.mark.parametrize(("reach", "plain"), [(3, sentiment.mosi_scores), (1, sentiment.sims_scores)])
def test_sentiment_agrees_with_the_plain_functions(reach, plain):
    rng = random.Random(3)
    truth = [round(rng.uniform(-reach, reach), 1) for _ in range(50)] + [0.0, 0.0]
    said = [None if rng.random() < 0.1 else round(rng.uniform(-reach, reach), 1) for _ in truth]
    references = [Reference(str(k), value=v) for k, v in enumerate(truth)]
    found = tally(card("sentiment", "weighted_f1", range=reach), references, [None if s is None else Said(s) for s in said]).all()
    expected = {k: v for k, v in plain(truth, said).items() if k not in {"n_non0", "parse_rate"}}
    assert {k: found[k] for k in expected} == pytest.approx(expected)
    words = [None if s is None else "positive" if s > 0 else "negative" if s < 0 else "neutral" for s in said]
    polarity = sentiment.polarity_scores(truth, words)
    assert (found["accuracy"], found["weighted_f1"]) == pytest.approx((polarity["accuracy"], polarity["weighted_f1"]))


def test_label_sets_agree_with_the_plain_functions():
    rng = random.Random(4)
    truth = [tuple(rng.sample(LABELS, rng.randint(0, 2))) for _ in range(40)]
    found = [tuple(rng.sample([*LABELS, "odd"], rng.randint(0, 3))) for _ in range(40)]
    scores = [{label: rng.random() for label in LABELS} for _ in range(40)]
    references = [Reference(str(k), labels=t) for k, t in enumerate(truth)]
    values = tally(card("multi-label", "map", labels=LABELS), references, [Said(f, s) for f, s in zip(found, scores, strict=True)]).all()
    assert {k: values[k] for k in multilabel.multilabel([((), ())], LABELS)} == pytest.approx(
        multilabel.multilabel(list(zip(truth, found, strict=True)), LABELS)
    )
    gold = np.array([[label in t for label in LABELS] for t in truth], float)
    assert values["map"] == pytest.approx(multilabel.mean_average_precision(gold, np.array([[s[x] for x in LABELS] for s in scores])))


def test_a_label_with_a_stroke_is_one_label():
    labels = ("anger", "doubt/confusion", "fear")
    made = tally(
        card("multi-label", "map", labels=labels, forms={"doubt/confusion": ("doubt",)}),
        [Reference("a", labels=("doubt/confusion", "anger")), Reference("b", labels=("fear",))],
        [Said("Anger, doubt/confusion"), Said("fear/anger")],
    )
    assert made.answers == ("anger, doubt/confusion", "anger, fear")


def test_captions_agree_with_the_plain_functions():
    texts = ["the brows rise and the mouth opens", "she smiles, then the eyes close", "the head turns to the left", ""]
    gold = ["the brows rise", "she smiles slowly and the eyes close", "the head turns right", "the mouth opens"]
    references = [Reference(str(k), captions=(g,)) for k, g in enumerate(gold)]
    values = tally(card("caption", "cider", events=True), references, [Said(t) for t in texts]).all()
    samples = [(t, (g,)) for t, g in zip(texts, gold, strict=True)]
    assert values["cider"] == pytest.approx(captions.cider(samples)) and values["cider_d"] == pytest.approx(captions.cider_d(samples))
    assert values["rouge_l"] == pytest.approx(captions.rouge_l(samples)) and values["bleu_1"] == pytest.approx(
        captions.bleu(samples)["bleu_1"]
    )
    from emollm.evaluation.events import movements

    assert values["tem"] == pytest.approx(mean_tem([(movements(g), movements(t)) for t, g in zip(texts, gold, strict=True)]).tem)


def test_replies_by_hand():
    references = [Reference("a", "lonely"), Reference("b", "happy"), Reference("c", "afraid")]
    said = [Said("I am so so sorry", None, "sad"), Said("Good", None, "happy"), Said("You sound afraid")]
    made = tally(card("reply", "hit", labels=("lonely", "sad", "happy", "afraid"), classes={"sad": ("lonely",)}), references, said)
    found = made.all()
    assert found["accuracy"] == pytest.approx(2 / 3)  # sad is not lonely
    assert found["hit"] == 1.0  # but of its class; the third emotion is named in the reply
    assert found["dist_1"] == pytest.approx((4 / 5 + 1 + 1) / 3)


def test_folds_are_averaged():
    # fold 1: 1 of 1 right; fold 2: 1 of 3 right -> mean of folds 2/3, pooled it would be 1/2
    rows = [("happy", "happy", "1"), ("sad", "sad", "2"), ("sad", "happy", "2"), ("happy", "sad", "2")]
    references = [Reference(str(k), t, group={"fold": f}) for k, (t, _, f) in enumerate(rows)]
    said = [Said(s) for _, s, _ in rows]
    assert tally(card("recognition", "accuracy", labels=LABELS, folds=2), references, said).all()["accuracy"] == pytest.approx(2 / 3)
    assert tally(card("recognition", "accuracy", labels=LABELS), references, said).all()["accuracy"] == 0.5


def test_faults_of_references_are_named():
    with pytest.raises(DataError, match="lists no label 'bored'"):
        tally(card("recognition", "uar", labels=LABELS), [Reference("a", "bored")], [None])
    with pytest.raises(DataError, match='1 of 1 references have no "captions"'):
        tally(card("caption", "cider"), [Reference("a", "sad")], [None])
    with pytest.raises(DataError, match="stands on a wheel"):
        tally(card("open-vocabulary", "hit_fixed"), [Reference("a", "neutral")], [None])
    with pytest.raises(DataError, match="every reference is 0"):
        tally(card("sentiment", "accuracy"), [Reference("a", value=0.0)], [None])
