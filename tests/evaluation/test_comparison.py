"""Intervals, paired tests and agreement against hand-worked numbers and scikit-learn."""

import random

import pytest

from emollm.errors import DataError
from emollm.evaluation.comparison import bounds, cohen_kappa, compare, exact_agreement
from emollm.evaluation.metrics import accuracy, interval


def mean(values):
    return sum(values) / len(values)


def test_bounds_agree_with_those_of_pairs():
    pairs = [("a", "a")] * 30 + [("a", "b")] * 20
    found = bounds(pairs, accuracy, rounds=400, seed=0)
    assert (found.low, found.high) == interval(pairs, accuracy)
    assert found.value == pytest.approx(30 / 50)
    # normal approximation: 0.6 +- 1.96 * sqrt(0.6 * 0.4 / 50) = 0.6 +- 0.136
    assert found.low == pytest.approx(0.6 - 0.136, abs=0.04)
    assert found.high == pytest.approx(0.6 + 0.136, abs=0.04)


def test_same_seed_same_numbers():
    rng = random.Random(5)
    values = [rng.random() for _ in range(30)]
    assert bounds(values, mean, seed=1) == bounds(values, mean, seed=1)
    assert bounds(values, mean, seed=1) != bounds(values, mean, seed=2)


def test_constant_results_have_no_width():
    found = bounds([0.7] * 10, max, rounds=50)
    assert (found.low, found.value, found.high) == (0.7, 0.7, 0.7)


def test_pairing_sees_what_single_intervals_hide():
    rng = random.Random(0)
    hard = [rng.random() for _ in range(80)]
    first, second = [h + 0.02 + 0.01 * rng.random() for h in hard], hard
    found = compare(first, second, mean, rounds=500)
    assert 0.02 < found.low <= found.value <= found.high < 0.03
    assert found.p == pytest.approx(2 / 501)  # no draw turned the sign: the smallest p
    assert bounds(first, mean).low < bounds(second, mean).high  # apart, they overlap


def test_no_difference():
    values = [0.0, 1.0, 1.0, 0.0]
    assert compare(values, values, mean, rounds=100).p == 1
    # a coin each: p must not be small
    rng = random.Random(9)
    a, b = ([rng.random() for _ in range(60)] for _ in range(2))
    one, other = compare(a, b, mean), compare(b, a, mean)
    assert one.p > 0.01
    assert one.value == pytest.approx(-other.value)


def test_kappa_by_hand():
    # yes/yes 20, yes/no 5, no/yes 10, no/no 15: seen 35/50; chance (25*30 + 25*20)/2500 = 0.5 -> (0.7 - 0.5)/0.5
    first = ["y"] * 25 + ["n"] * 25
    second = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert exact_agreement(first, second) == pytest.approx(0.7)
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    metrics = pytest.importorskip("sklearn.metrics")
    assert cohen_kappa(first, second) == pytest.approx(metrics.cohen_kappa_score(first, second), abs=1e-6)


def test_kappa_properties():
    rng = random.Random(7)
    a = [rng.choice("xyz") for _ in range(40)]
    b = [rng.choice("xyz") for _ in range(40)]
    assert cohen_kappa(a, b) == pytest.approx(cohen_kappa(b, a))
    assert cohen_kappa(a, a) == 1
    assert cohen_kappa(["x"] * 4, ["x"] * 4) == 1
    assert cohen_kappa(["x", "y"], ["y", "x"]) == pytest.approx((0 - 0.5) / 0.5)


def test_faults_are_said():
    with pytest.raises(DataError, match="same items"):
        compare([1.0], [], mean)
    with pytest.raises(DataError, match="same items"):
        cohen_kappa([], [])
    with pytest.raises(DataError, match="no items"):
        bounds([], mean)
