"""Two systems on the items both answered."""

import json

import pytest
from eval_command import evaluated

from emollm import catalog
from emollm.errors import DataError
from emollm.evaluation.cards import Scored, load_card
from emollm.evaluation.predictions import run
from emollm.evaluation.versus import card_of, versus

CARD = Scored(name="own", version=1, about="", labels=("happy", "sad"), headline="accuracy")
TRUTH = ["happy", "sad"] * 20


def system(tmp_path, name, said, truth=None):
    home = tmp_path / name
    home.mkdir()
    rows = [{"id": f"i{k}", "label": t} for k, t in enumerate(truth or TRUTH)]
    (home / "k.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    (home / "p.jsonl").write_text("".join(json.dumps({"id": f"i{k}", "prediction": s}) + "\n" for k, s in said.items()), "utf-8")
    run(CARD, home / "p.jsonl", home / "out", references=home / "k.jsonl", rounds=20)
    return home / "out"


def test_only_shared_answers_count(tmp_path, capsys):
    good = system(tmp_path, "a", dict(enumerate(TRUTH)))
    # right on the first ten, wrong on the next twenty, silent on the last ten
    bad = system(tmp_path, "b", {k: t if k < 10 else "happy" if t == "sad" else "sad" for k, t in enumerate(TRUTH[:30])})
    (found,) = versus(good, bad)
    assert (found.n, found.left_out) == (30, 10)
    assert found.first == 1.0 and found.second == pytest.approx(1 / 3) and found.difference.value == pytest.approx(2 / 3)
    assert 0.4 < found.difference.low < 2 / 3 < found.difference.high < 0.9 and found.difference.p == pytest.approx(2 / 1001)
    code, text, _ = evaluated(capsys, "--compare", good, bad)
    assert code == 0 and "| own | accuracy | 30 | 10 | 1.000 | 0.333 | **+0.667**" in text


def test_a_system_equals_itself(tmp_path):
    one = system(tmp_path, "a", dict(enumerate(TRUTH)))
    (found,) = versus(one, one)
    assert found.difference.value == 0 and found.difference.p == 1


def test_runs_of_a_model_are_compared_too(tmp_path):
    for name, answers in (("a", ["happy", "sad"]), ("b", ["sad", ""])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps({"card": "gone", "card_version": 1, "headline": "uar"}), "utf-8")
        rows = [{"id": str(k), "label": t, "answer": a} for k, (t, a) in enumerate(zip(["happy", "sad"], answers, strict=True))]
        (tmp_path / name / "samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    (found,) = versus(tmp_path / "a", tmp_path / "b")
    assert (found.first, found.second, found.headline) == (1.0, 0.0, "uar")


def test_what_cannot_be_compared_is_told(tmp_path):
    one = system(tmp_path, "a", dict(enumerate(TRUTH)))
    other = system(tmp_path, "b", dict(enumerate(TRUTH)), truth=["sad"] * 40)
    with pytest.raises(DataError, match="20 items have another reference in the second folder"):
        versus(one, other)
    with pytest.raises(DataError, match="no item was answered by both"):
        versus(system(tmp_path, "c", {0: "happy"}), system(tmp_path, "d", {1: "happy"}))
    with pytest.raises(DataError, match="results of own twice"):
        versus(tmp_path, one)


@pytest.mark.parametrize("name", [n for n in catalog.names("eval") if isinstance(load_card(n), Scored)])
def test_results_of_every_kind_of_card_can_be_compared(name):
    card = load_card(name)
    again = card_of({"card": name, "card_version": 1, "headline": card.headline, "card_file": card.model_dump(mode="json")}, [])
    assert (again.name, again.task, again.labels, again.headline, again.folds) == (
        card.name,
        card.task,
        card.labels,
        card.headline,
        card.folds,
    )
