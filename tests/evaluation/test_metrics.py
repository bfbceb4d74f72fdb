"""Metrics against numbers worked by hand."""

import pytest

from emollm.evaluation.metrics import (
    accuracy,
    calibration_by_luck,
    calibration_error,
    concordance,
    confusion,
    interval,
    macro_f1,
    uar,
    weighted_f1,
)

# truth a: 3 of 4 right; truth b: 1 of 2 right; one b is called c.
PAIRS = [("a", "a"), ("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("b", "c")]


def test_accuracy_and_recall():
    assert accuracy(PAIRS) == pytest.approx(4 / 6)
    assert uar(PAIRS) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_f1():
    # a: precision 3/3, recall 3/4 -> 6/7. b: precision 1/2, recall 1/2 -> 1/2. c is never true.
    assert macro_f1(PAIRS) == pytest.approx((6 / 7 + 1 / 2) / 2)
    assert weighted_f1(PAIRS) == pytest.approx((4 * 6 / 7 + 2 * 1 / 2) / 6)


def test_against_a_second_implementation():
    metrics = pytest.importorskip("sklearn.metrics")
    truth, said = zip(*PAIRS, strict=True)
    assert weighted_f1(PAIRS) == pytest.approx(metrics.f1_score(truth, said, average="weighted"))
    assert uar(PAIRS) == pytest.approx(metrics.recall_score(truth, said, average="macro", labels=["a", "b"]))


def test_an_unreadable_item_counts_as_wrong():
    assert accuracy([("a", "a"), ("a", "")]) == 0.5


def test_interval_holds_the_score_and_narrows():
    few, many = interval(PAIRS, accuracy), interval(PAIRS * 50, accuracy)
    assert few[0] <= 4 / 6 <= few[1] and many[0] <= 4 / 6 <= many[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_confusion_counts():
    assert confusion(PAIRS) == {"a": {"a": 3, "b": 1}, "b": {"b": 1, "c": 1}}


def test_calibration_by_hand():
    # ten answers at 0.8, eight right: no gap; at 0.95 with none right the gap is all of it
    assert calibration_error([(0.75, True)] * 3 + [(0.75, False)]) == pytest.approx(0)
    assert calibration_error([(0.95, False)] * 5) == pytest.approx(0.95)
    half = calibration_error([(0.95, True)] * 5 + [(0.55, False)] * 5)
    assert half == pytest.approx((0.05 + 0.55) / 2)
    assert 0 < calibration_by_luck([(0.7, True)] * 50) < 0.15


def test_concordance_asks_for_agreement_not_only_correlation():
    truth = [0.0, 0.5, 1.0, -0.5]
    assert concordance(truth, truth) == pytest.approx(1)
    assert concordance(truth, [v + 1 for v in truth]) < 0.5
    assert concordance(truth, [-v for v in truth]) < 0
