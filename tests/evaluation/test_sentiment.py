"""Sentiment scores against hand-worked numbers, NumPy and scikit-learn."""

import random

import numpy as np
import pytest

from emollm.errors import DataError
from emollm.evaluation.sentiment import mosi_scores, pearson, polarity_scores, sims_scores


def test_mosi_by_hand():
    truth = [2.0, -1.0, 0.0, 3.0, -2.6]
    found = [1.6, 0.2, -0.4, 4.0, -2.4]
    s = mosi_scores(truth, found)
    assert s["mae"] == pytest.approx((0.4 + 1.2 + 0.4 + 1.0 + 0.2) / 5)
    # rounded: truth 2 -1 0 3 -3, found 2 0 0 3 -2 -> 3 of 5; clipped at 2: truth 2 -1 0 2 -2, found 2 0 0 2 -2 -> 4 of 5
    assert (s["acc_7"], s["acc_5"]) == (pytest.approx(3 / 5), pytest.approx(4 / 5))
    # >= 0: truth + - + + -, found + + - + - -> 3 of 5. not 0: truth + - + -, found + + + - -> 3 of 4
    assert (s["acc_2_has0"], s["acc_2_non0"], s["n_non0"]) == (pytest.approx(3 / 5), pytest.approx(3 / 4), 4)
    # Non0: F1 of + is 2*2/(3+2), of - is 2*1/(1+2), two true items each
    assert s["f1_non0"] == pytest.approx((2 * 4 / 5 + 2 * 2 / 3) / 4)
    # Has0: + hits 2, found 3, true 3; - hits 1, found 2, true 2
    assert s["f1_has0"] == pytest.approx((3 * 4 / 6 + 2 * 2 / 4) / 5)


def test_zero_counts_only_in_has0():
    s = mosi_scores([0.0, 1.0], [0.0, 1.0])
    assert (s["acc_2_has0"], s["acc_2_non0"], s["n_non0"]) == (1, 1, 1)
    # a prediction of exactly 0 is positive under Has0 and negative under Non0
    s = mosi_scores([1.0], [0.0])
    assert (s["acc_2_has0"], s["acc_2_non0"]) == (1, 0)


def test_sims_by_hand():
    truth = [-0.8, -0.2, 0.0, 0.4, 1.0]
    found = [-0.7, 0.1, 0.1, 0.8, 2.0]
    s = sims_scores(truth, found)
    assert s["mae"] == pytest.approx((0.1 + 0.3 + 0.1 + 0.4 + 0.0) / 5)  # 2.0 is clipped to 1
    # split at 0: truth - - - + +, found - + + + + -> 3 of 5
    assert s["acc_2"] == pytest.approx(3 / 5)
    # three classes: truth - - 0 + +, found - 0 0 + + (0.1 belongs below) -> 4 of 5
    assert s["acc_3"] == pytest.approx(4 / 5)
    # five: truth -- - 0 + ++, found -- (-0.7 belongs below) 0 0 ++ ++ -> 3 of 5
    assert s["acc_5"] == pytest.approx(3 / 5)
    # F1: - hits 1, found 1, true 3; + hits 2, found 4, true 2
    assert s["f1"] == pytest.approx((3 * 2 / 4 + 2 * 4 / 6) / 5)


def test_polarity_drops_zero_and_neutral_is_wrong():
    s = polarity_scores([1.2, -0.4, 0.0, 2.0, -1.0], ["positive", "negative", "positive", "neutral", None])
    assert (s["n"], s["accuracy"], s["parse_rate"]) == (4, pytest.approx(2 / 4), pytest.approx(2 / 4))
    # each class: hit 1, found 1, true 2 -> 2/3
    assert s["weighted_f1"] == pytest.approx(2 / 3)


def test_unparsed_is_wrong():
    s = mosi_scores([1.0, -1.0], [1.0, None])
    assert (s["acc_2_has0"], s["acc_2_non0"], s["acc_7"], s["parse_rate"]) == (0.5, 0.5, 0.5, 0.5)
    assert s["mae"] == pytest.approx((0 + 1) / 2)
    assert sims_scores([0.0], [None])["acc_3"] == 0


def test_agrees_with_numpy_and_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = random.Random(1)
    truth = np.array([round(rng.uniform(-3, 3), 1) for _ in range(300)])
    found = truth + np.array([rng.gauss(0, 1) for _ in truth])
    s = mosi_scores(truth.tolist(), found.tolist())
    keep = truth != 0
    assert s["corr"] == pytest.approx(np.corrcoef(truth, found)[0, 1], abs=1e-6)
    assert s["acc_7"] == pytest.approx(np.mean(np.round(np.clip(truth, -3, 3)) == np.round(np.clip(found, -3, 3))), abs=1e-6)
    assert s["f1_has0"] == pytest.approx(metrics.f1_score(truth >= 0, found >= 0, average="weighted"), abs=1e-6)
    assert s["f1_non0"] == pytest.approx(metrics.f1_score(truth[keep] > 0, found[keep] > 0, average="weighted"), abs=1e-6)


def test_properties():
    rng = random.Random(2)
    truth = [rng.uniform(-1, 1) for _ in range(50)]
    perfect = sims_scores(truth, truth)
    assert perfect["mae"] == 0
    assert {perfect[k] for k in ("acc_2", "acc_3", "acc_5", "f1")} == {1.0}
    found = [rng.uniform(-1, 1) for _ in truth]
    s = sims_scores(truth, found)
    assert s["acc_5"] <= s["acc_3"]  # five classes are finer than three
    assert pearson(truth, [3 * f + 2 for f in found]) == pytest.approx(pearson(truth, found))
    assert pearson(truth, [0.3] * 50) == 0


def test_faults_are_said():
    with pytest.raises(DataError, match="same number"):
        mosi_scores([1.0], [])
    with pytest.raises(DataError, match="not 0"):
        polarity_scores([0.0], ["positive"])
