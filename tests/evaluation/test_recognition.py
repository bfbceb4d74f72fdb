"""One label of a fixed list, against hand-worked numbers and scikit-learn."""

import random

import pytest

from emollm.errors import DataError
from emollm.evaluation.recognition import parse_label, recognition

LABELS = ("happy", "sad", "angry", "fear")


def test_hand_worked():
    # happy 2 of 3 right, sad 1 of 2 right, angry 0 of 1 (unparsed); fear never occurs
    truth = ["happy", "happy", "happy", "sad", "sad", "angry"]
    said = ["happy", "happy", "sad", "sad", "happy", None]
    scores = recognition(truth, said, LABELS)
    assert scores.war == pytest.approx(3 / 6)
    assert scores.uar == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    f_happy, f_sad = 2 * 2 / (3 + 3), 2 * 1 / (2 + 2)
    assert scores.macro_f1 == pytest.approx((f_happy + f_sad + 0) / 3)
    assert scores.weighted_f1 == pytest.approx((3 * f_happy + 2 * f_sad) / 6)
    assert scores.parse_rate == pytest.approx(5 / 6)
    assert scores.absent == ("fear",)
    assert scores.recalls == pytest.approx({"happy": 2 / 3, "sad": 1 / 2, "angry": 0.0})
    assert scores.confusion.tolist() == [[2, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_odd_answers_add_no_class():
    # a script over the union of strings would give (1 + 0 + 0) / 3
    scores = recognition(["happy", "sad"], ["happy", "melancholy"], LABELS)
    assert scores.uar == pytest.approx((1 + 0) / 2)
    assert scores.parse_rate == 0.5


def test_agrees_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = random.Random(3)
    truth = [rng.choice(LABELS) for _ in range(300)]
    said = [t if rng.random() < 0.5 else rng.choice((*LABELS, None)) for t in truth]
    scores = recognition(truth, said, LABELS)
    strings = [s or "?" for s in said]
    assert scores.war == pytest.approx(metrics.accuracy_score(truth, strings), abs=1e-6)
    assert scores.uar == pytest.approx(metrics.recall_score(truth, strings, labels=LABELS, average="macro"), abs=1e-6)
    assert scores.macro_f1 == pytest.approx(metrics.f1_score(truth, strings, labels=LABELS, average="macro"), abs=1e-6)
    assert scores.weighted_f1 == pytest.approx(metrics.f1_score(truth, strings, labels=LABELS, average="weighted"), abs=1e-6)
    assert (scores.confusion == metrics.confusion_matrix(truth, strings, labels=[*LABELS, "?"])[:4]).all()


def test_properties():
    rng = random.Random(0)
    for _ in range(20):
        truth = [rng.choice(LABELS) for _ in range(20)]
        said = [rng.choice((*LABELS, None)) for _ in truth]
        scores = recognition(truth, said, LABELS)
        assert all(0 <= v <= 1 for v in (scores.war, scores.uar, scores.macro_f1, scores.weighted_f1))
        assert scores.war <= scores.parse_rate
        assert recognition(truth, truth, LABELS).macro_f1 == 1
        assert scores.confusion.sum() == scores.n


def test_faults_are_said():
    with pytest.raises(DataError, match="outside the list: glad"):
        recognition(["glad"], ["happy"], LABELS)
    with pytest.raises(DataError, match="same number"):
        recognition([], [], LABELS)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("happy", "happy"),
        ("  **Happy.** ", "happy"),
        ("<think>sad? angry?</think><answer>Fear</answer>", "fear"),
        ("<answer>sad", "sad"),
        ("<answer>sad</answer> wait <answer>angry</answer>", "angry"),
        ("The person in the video looks ANGRY, I think.", "angry"),
        ("Not happy but sad", "sad"),
        ("She isn't happy. She is angry!", "angry"),
        ("happy, happy and again happy", "happy"),
        ("happy or sad", None),
        ("unhappy", None),
        ("not happy", None),
        ("<think>angry", None),
        ("", None),
    ],
)
def test_answers_are_read(answer, label):
    assert parse_label(answer, LABELS) == label


def test_forms_and_long_labels():
    assert parse_label("a lot of anger", LABELS, {"angry": ("anger",)}) == "angry"
    assert parse_label("Very Happy!", ("happy", "very happy")) == "very happy"
    assert parse_label("I would say very_happy here", ("happy", "very happy")) == "very happy"
