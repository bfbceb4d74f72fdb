"""Files of answers: counted, scored with floors, and degenerate systems told as such."""

import json

import pytest
import tiny_data
from eval_command import evaluated

from emollm.errors import DataError
from emollm.evaluation.answers import Reference, join, read_references
from emollm.evaluation.cards import Scored, load_card
from emollm.evaluation.predictions import run

LABELS = ("happy", "sad", "angry", "neutral")


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def card(task, headline, **more):
    return Scored(name="c", version=1, about="", task=task, headline=headline, **more)


def scored(tmp_path, what, references, predictions, rounds=50):
    given = lines(tmp_path / "references.jsonl", references)
    return run(what, lines(tmp_path / "mine.jsonl", predictions), tmp_path / "out", references=given, rounds=rounds)


# happy 5, sad 3, angry 2
TEN = [{"id": f"i{k}", "label": label} for k, label in enumerate(["happy"] * 5 + ["sad"] * 3 + ["angry"] * 2)]


def test_missing_duplicate_and_unknown_ids_are_counted_and_told(tmp_path):
    said = [{"id": r["id"], "prediction": r["label"]} for r in TEN[:8]]
    said += [{"id": "i0", "prediction": "sad"}, {"id": "elsewhere", "prediction": "sad"}]
    found = scored(tmp_path, card("recognition", "accuracy", labels=LABELS), TEN, said)
    assert (found["n"], found["missing"], found["duplicate"], found["unknown"]) == (10, 2, 1, 1)
    assert found["metrics"]["accuracy"] == 0.8 and found["parse_rate"] == 0.8  # the two missing are wrong, the first of two counts
    assert [w.split(";")[0] for w in found["warnings"][:3]] == [
        "2 items have no answer",
        "1 ids are answered more than once",
        "1 answers have an id that no reference has",
    ]
    assert found["confusion"]["angry"] == {"(unparsed)": 2}
    rows = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text("utf-8").splitlines()]
    assert [r["id"] for r in rows if r.get("missing")] == ["i8", "i9"]
    assert json.loads((tmp_path / "out" / "results.json").read_text("utf-8")) == found


def test_floors_by_hand(tmp_path):
    found = scored(tmp_path, card("recognition", "accuracy", labels=LABELS), TEN, [{"id": r["id"], "prediction": r["label"]} for r in TEN])
    floors = found["floors"]
    assert floors["majority"]["accuracy"] == floors["best_constant"]["accuracy"] == 0.5
    assert floors["majority"]["uar"] == pytest.approx(1 / 3, abs=1e-4)  # one class of three
    assert floors["majority"]["weighted_f1"] == pytest.approx(0.5 * 2 * 5 / 15, abs=1e-4)  # F1 of happy 10/15, half of the items
    assert floors["list_all"]["accuracy"] == 0.0  # all labels at once name none
    assert 0.2 < floors["shuffled_references"]["accuracy"] < 0.55  # expected: .25 + .09 + .04 = .38
    assert found["metrics"]["accuracy"] == 1.0 and found["metrics"]["interval"] == [1.0, 1.0] and not found["warnings"]


def test_always_one_label_is_told(tmp_path):
    found = scored(tmp_path, card("recognition", "accuracy", labels=LABELS), TEN, [{"id": r["id"], "prediction": "happy"} for r in TEN])
    assert found["warnings"][0].startswith("accuracy 0.500 does not exceed its floor 0.500")
    assert any(w.startswith("uar 0.333 does not exceed") for w in found["warnings"])


def test_listing_every_label_is_told(tmp_path):
    every = [{"id": r["id"], "prediction": list(LABELS)} for r in TEN]
    # The hit rate alone is perfect, and so is its floor.
    found = scored(tmp_path, card("open-vocabulary", "hit_official", labels=LABELS), TEN, every)
    assert found["metrics"]["hit_official"] == found["floors"]["list_all"]["hit_official"] == 1.0
    assert found["warnings"][0].startswith("hit_official 1.000 does not exceed its floor 1.000 (list_all)")
    assert found["metrics"]["above_chance_official"] == 0.0
    sets = [{"id": r["id"], "labels": [r["label"]]} for r in TEN]
    found = scored(tmp_path, card("multi-label", "micro_f1", labels=LABELS), sets, every)
    # 10 hits, 40 said and 10 true: 2 * 10 / 50
    assert found["metrics"]["micro_f1"] == found["floors"]["list_all"]["micro_f1"] == 0.4
    assert found["warnings"][0].startswith(
        "micro_f1 0.400 does not exceed its floor 0.533 (best_constant)"
    )  # happy and sad: 2 * 8 / (20 + 10)
    found = scored(tmp_path, card("recognition", "accuracy", labels=LABELS), TEN, every)
    assert found["metrics"]["accuracy"] == 0.0 and found["parse_rate"] == 0.0


def test_an_honest_hit_rate_is_not_held_against_naming_everything(tmp_path):
    said = [{"id": r["id"], "prediction": r["label"] if k else "sad"} for k, r in enumerate(TEN)]
    found = scored(tmp_path, card("open-vocabulary", "hit_official", labels=LABELS), TEN, said)
    assert found["metrics"]["hit_official"] == 0.9 and found["floors"]["list_all"]["hit_official"] == 1.0
    assert not [w for w in found["warnings"] if w.startswith("hit_official")]


def test_copying_the_transcript_is_told(tmp_path):
    transcripts = ["I am going home", "what a day", "see you at nine", "the train is late", "who took my keys"] * 2
    said = [{"id": r["id"], "prediction": t} for r, t in zip(TEN, transcripts, strict=True)]
    found = scored(tmp_path, card("recognition", "accuracy", labels=LABELS), TEN, said)
    assert found["metrics"]["accuracy"] == 0.0 and "does not exceed" in found["warnings"][0]
    captions = [
        {"id": r["id"], "captions": [f"at the beginning the brows {w}, then the mouth opens"]} for r, w in zip(TEN, _verbs(), strict=True)
    ]
    found = scored(tmp_path, card("caption", "tem", events=True), captions, said)
    assert found["metrics"]["tem"] == 0.0 and found["warnings"][0].startswith("tem 0.000 does not exceed")


def _verbs():
    return ["rise", "fall", "rise", "furrow", "fall", "rise", "furrow", "rise", "fall", "rise"]


def test_one_stock_caption_is_told(tmp_path):
    captions = [
        {"id": r["id"], "captions": [f"at the beginning the brows {w}, then the mouth opens"]} for r, w in zip(TEN, _verbs(), strict=True)
    ]
    said = [{"id": r["id"], "prediction": "the mouth opens"} for r in TEN]
    found = scored(tmp_path, card("caption", "tem", events=True), captions, said)
    # one of two events in every clip: 2 * 1 / (2 + 1) = 2/3; another clip's caption has at least that one of two against two, plus luck
    assert found["metrics"]["tem"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["floors"]["best_constant"]["tem"] >= 2 / 3
    assert found["warnings"][0].startswith("tem 0.667 does not exceed its floor")
    found = scored(tmp_path, card("caption", "rouge_l"), captions, said)
    assert found["warnings"][0].startswith("rouge_l") and set(found["floors"]) == {"best_constant", "another_caption"}


def test_always_positive_is_told(tmp_path):
    values = [{"id": f"v{k}", "value": v} for k, v in enumerate([2.0, 1.0, 0.5, -1.0, 0.0])]
    said = [{"id": r["id"], "prediction": "positive"} for r in values]
    found = scored(tmp_path, card("sentiment", "weighted_f1", range=3), values, said)
    # of four items that are not 0: positive F1 = 2*3/(4+3) = 6/7, weighted 3/4 * 6/7 = 9/14
    assert found["metrics"]["weighted_f1"] == pytest.approx(9 / 14, abs=1e-4) == found["floors"]["majority"]["weighted_f1"]
    assert "does not exceed its floor" in found["warnings"][0]
    numbers = scored(tmp_path, card("sentiment", "mae", range=3), values, [{"id": r["id"], "prediction": 0.5} for r in values])
    # |2-.5| + .5 + 0 + 1.5 + .5 = 4, of 5; the median is the same constant
    assert numbers["metrics"]["mae"] == numbers["floors"]["best_constant"]["mae"] == 0.8
    assert numbers["warnings"][0].startswith("mae 0.800 does not exceed its floor 0.800 (best_constant)")


def test_groups_have_intervals(tmp_path):
    rows = [{**r, "group": {"language": "en" if k % 2 else "de"}} for k, r in enumerate(TEN)]
    said = [{"id": r["id"], "prediction": r["label"] if k % 2 else "sad"} for k, r in enumerate(rows)]
    found = scored(tmp_path, card("recognition", "accuracy", labels=LABELS), rows, said)["groups"]["language"]
    assert found["en"] == {"n": 5, "accuracy": 1.0, "interval": [1.0, 1.0]}
    assert found["de"]["accuracy"] == 0.2 and found["de"]["interval"][0] == 0.0  # of i0, i2, i4, i6, i8 only i6 is sad


def test_scores_give_calibration_and_answers(tmp_path):
    said = [{"id": r["id"], "scores": {"Happy": 0.8, "sad": 0.2}} for r in TEN]
    found = scored(tmp_path, card("recognition", "accuracy", labels=LABELS), TEN, said)
    assert found["metrics"]["accuracy"] == 0.5 and found["metrics"]["calibration_error"] == pytest.approx(0.3)


def test_faulty_files_are_named(tmp_path):
    path = lines(tmp_path / "p.jsonl", [{"id": "a", "prediction": True}])
    with pytest.raises(DataError, match="line 1: prediction is a bool"):
        join([Reference("a")], path)
    with pytest.raises(DataError, match=r"line 1: neither prediction nor scores"):
        join([Reference("a")], lines(path, [{"id": "a"}]))
    with pytest.raises(DataError, match=r"no id of .* is among the 1 references, which begin with 'b'"):
        join([Reference("b")], lines(path, [{"id": "a", "prediction": "x"}]))
    with pytest.raises(DataError, match=r"1 id\(s\) twice: a"):
        read_references(lines(path, [{"id": "a", "label": "x"}] * 2))
    path.write_text("{", "utf-8")
    with pytest.raises(DataError, match="line 1 is no JSON"):
        read_references(path)
    with pytest.raises(DataError, match="cannot read"):
        read_references(tmp_path / "nowhere.jsonl")


def test_the_command_scores_files_and_says_what_is_wanted(tmp_path, capsys):
    references = lines(tmp_path / "r.jsonl", [{"id": k, "label": w} for k, w in (("a", "praise"), ("b", "joke"), ("c", "praise"))])
    said = lines(tmp_path / "p.jsonl", [{"id": k, "prediction": w} for k, w in (("a", "Praise"), ("b", "praise"), ("c", "Praise."))])
    code, text, _ = evaluated(capsys, "mintrec", "--predictions", said, "--references", references, "--out", tmp_path / "o")
    assert code == 0
    assert "| mintrec | 3 | 0 | 1.000 | accuracy | **0.667**" in text
    assert "the protocol has 445 items, the references 3" in text
    assert "accuracy 0.667 does not exceed its floor 0.667 (majority)" in text
    for arguments, complaint in (
        (["mintrec"], "--predictions FILE"),
        (["mer-unibench"], "--predictions DIR"),
        (["mintrec", "--predictions", said], '"label": "praise"'),
        (["mintrec", "--references", said], "--references goes with --predictions"),
        (["synth-scenes", "--predictions", said], "run it without --predictions"),
    ):
        code, _, error = evaluated(capsys, *arguments)
        assert code == 2 and complaint in error


def test_the_command_takes_references_from_a_data_folder(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    folder = tiny_data.build(tmp_path / "data")
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\nversion = 1\nabout = ""\ncorpus = "pics"\nmodality = "face"\nlabels = ["happy", "sad"]\nheadline = "accuracy"\n',
        "utf-8",
    )
    from emollm.data.corpus import Corpus

    items = Corpus(folder).items("pics", "val")
    said = lines(tmp_path / "p.jsonl", [{"id": i.id, "prediction": i.label} for i in items])
    arguments = [path, "--predictions", said, "--out", tmp_path / "o"]
    code, text, _ = evaluated(capsys, *arguments, "--data", folder)
    assert code == 0 and "**1.000**" in text
    assert "--references FILE" in evaluated(capsys, *arguments)[2]


def test_the_mean_needs_all_members(tmp_path):
    mean = load_card("mer-unibench")
    known, said = tmp_path / "known", tmp_path / "said"
    known.mkdir()
    said.mkdir()
    for member in mean.members:
        inner = load_card(member)
        truth = {"sentiment": [{"value": 1.0}, {"value": -1.0}]}.get(inner.task, [{"label": "happy"}, {"label": "sad"}])
        if member.startswith("iemocap"):
            truth = [{"label": "happiness"}, {"label": "sadness"}]
        answers = ["positive", "negative"] if inner.task == "sentiment" else ["happy", "angry"]
        if member.startswith("meld"):
            truth = [{"label": "joy"}, {"label": "sad"}]
        lines(known / f"{member}.jsonl", [{"id": str(k), **t} for k, t in enumerate(truth)])
        lines(said / f"{member}.jsonl", [{"id": str(k), "prediction": a} for k, a in enumerate(answers)])
    found = run(mean, said, tmp_path / "out", references=known, rounds=20)
    # four polarities are right (1), four hit rates and one F of sets are half right -> (4 * 1 + 5 * 1/2) / 9
    assert found["metrics"]["mean"] == pytest.approx(6.5 / 9, abs=1e-4)
    assert (tmp_path / "out" / "mer2023" / "results.json").is_file()
    assert not [w for w in found["warnings"] if w.startswith("mean")] and found["floors"]["majority"]["mean"] < 0.5
    (said / "mer2024.jsonl").unlink()
    found = run(mean, said, tmp_path / "out", references=known, rounds=20)
    assert found["metrics"]["mean"] is None and found["warnings"][0].startswith("no mean: 1 of 9 members are missing (mer2024)")
