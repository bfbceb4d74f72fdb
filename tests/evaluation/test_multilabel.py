"""Several labels an item, against hand-worked numbers and scikit-learn."""

import random

import numpy as np
import pytest

from emollm.errors import DataError
from emollm.evaluation.multilabel import average_precision, mean_average_precision, multilabel, parse_labels

LABELS = ("anger", "fear", "joy", "sadness")


def test_average_precision_by_hand():
    # ranked: 1 0 1 0 -> recall 1/2 at precision 1/1, recall 1 at precision 2/3
    assert average_precision(np.array([0, 1, 1, 0]), np.array([0.6, 0.9, 0.5, 0.1])) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # all scores equal: one threshold, precision = share of positives
    assert average_precision(np.array([1, 0, 0, 0]), np.zeros(4)) == pytest.approx(1 / 4)


def test_labels_never_true_are_left_out():
    truth, scores = np.array([[1, 0], [0, 0]]), np.array([[0.9, 0.8], [0.1, 0.7]])
    assert mean_average_precision(truth, scores) == 1


def test_sets_by_hand():
    samples = [({"joy", "fear"}, {"joy"}), ({"anger"}, {"anger", "bliss"}), ({"sadness"}, set())]
    s = multilabel(samples, LABELS)
    # hits 1 + 1 + 0; sizes 3 + 3 + 1
    assert s["micro_f1"] == pytest.approx(2 * 2 / 7)
    assert s["samples_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert s["jaccard"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert (s["exact"], s["unknown"]) == (0, pytest.approx(1 / 3))


def test_agrees_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth = (rng.random((80, 4)) < 0.4).astype(float)
    scores = np.round(rng.random((80, 4)), 1)  # rounded, so that ties occur
    assert mean_average_precision(truth, scores) == pytest.approx(metrics.average_precision_score(truth, scores, average="macro"), abs=1e-6)
    columns = (*LABELS, "unknown")
    found = rng.random((80, 5)) < 0.4
    gold = np.hstack([truth > 0, np.zeros((80, 1), bool)])  # an unknown label is a column that is never true
    sets = [({columns[c] for c in np.flatnonzero(g)}, {columns[c] for c in np.flatnonzero(f)}) for g, f in zip(gold, found, strict=True)]
    s = multilabel(sets, LABELS)
    assert s["micro_f1"] == pytest.approx(metrics.f1_score(gold, found, average="micro"), abs=1e-6)
    assert s["samples_f1"] == pytest.approx(metrics.f1_score(gold, found, average="samples", zero_division=1), abs=1e-6)
    assert s["jaccard"] == pytest.approx(metrics.jaccard_score(gold, found, average="samples", zero_division=1), abs=1e-6)


def test_properties():
    rng = random.Random(4)
    for _ in range(30):
        gold = [set(rng.sample(LABELS, rng.randint(1, 3))) for _ in range(6)]
        found = [set(rng.sample(LABELS, rng.randint(0, 4))) for _ in gold]
        s = multilabel(list(zip(gold, found, strict=True)), LABELS)
        worse = multilabel([(g, f | {"bliss"}) for g, f in zip(gold, found, strict=True)], LABELS)
        assert all(worse[k] <= s[k] for k in ("micro_f1", "samples_f1", "jaccard", "exact"))
        assert s["jaccard"] <= s["samples_f1"]
        assert multilabel([(g, g) for g in gold], LABELS)["micro_f1"] == 1


def test_lists_are_read():
    assert parse_labels("Joy, FEAR and awe.", LABELS) == {"joy", "fear", "awe"}
    assert parse_labels("<think>anger</think><answer>sadness</answer>", LABELS) == {"sadness"}
    assert parse_labels("", LABELS) == set()


def test_faults_are_said():
    with pytest.raises(DataError, match="outside the list: bliss"):
        multilabel([({"bliss"}, set())], LABELS)
    with pytest.raises(DataError, match="must both be"):
        mean_average_precision(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(DataError, match="undefined"):
        mean_average_precision(np.zeros((2, 2)), np.zeros((2, 2)))
