"""The open corpus from a tiny folder and tiny clips: levels, splits, duplicates, checks, the card, a second run, and what is printed."""

import gzip
import json

import open_scenes
import pytest
import tiny_data
from typer.testing import CliRunner

from emollm.commands.data import app
from emollm.data.check import Checker
from emollm.data.corpus import Corpus, Item
from emollm.data.open_corpus import clips, duplicates, faces, speech, support, text
from emollm.data.open_corpus.build import build, synth_folders
from emollm.data.schema import parse_sample
from emollm.errors import DataError
from emollm.evaluation.events import movements


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    tiny_data.build(data)
    turns = [
        {"role": "seeker", "strategy": None, "text": "I lost my job last week."},
        {"role": "supporter", "strategy": "Questions", "text": "I am sorry to hear that. how did it happen , and how are you coping?"},
    ]
    shard = [
        {"id": "care:1", "modality": "dialogue", "turns": turns, "split": "train", "source": "care"},
        {"id": "care:2", "modality": "dialogue", "turns": turns, "split": "train", "source": "care", "negative_example": True},
    ]  # fmt: skip
    with gzip.open(data / "text" / "care.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in shard)
    row = {"id": "shard:care", "modality": "text_shard", "path": "text/care.jsonl.gz", "split": "train", "source": "care", "licence": "CC"}
    with (data / "index.jsonl").open("a", encoding="utf-8") as index:
        index.write(json.dumps(row) + "\n")
    return data


@pytest.fixture(scope="module")
def synth(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "synth"
    for name in ("clips", "truth"):
        (out / name).mkdir(parents=True)
    val = open_scenes.person([open_scenes.SMILE], seed=3)
    rows = [
        open_scenes.truth(),
        open_scenes.two(),
        open_scenes.truth(open_scenes.person([open_scenes.SMILE], seed=3), name="train-000002"),  # a person of val
        open_scenes.truth(val, name="val-000000"),
    ]
    for row in rows:
        (out / "clips" / f"{row['name']}.mp4").write_bytes(row["name"].encode())
        with gzip.open(out / "truth" / f"{row['name']}.json.gz", "wt", encoding="utf-8") as file:
            json.dump(row, file)
    (out / "truth.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return out


def read(path):
    return [parse_sample(line) for line in path.read_text("utf-8").splitlines()]


def test_a_build_holds_three_levels_and_passes_the_check(folder, synth, tmp_path):
    built = build(folder, [synth], tmp_path, movements)
    train, val = read(tmp_path / "train.jsonl"), read(tmp_path / "val.jsonl")
    assert {s.level for s in train} == {"perception", "understanding", "interaction"}
    assert built.samples == {"train": len(train), "val": len(val)}
    assert not list(Checker(tmp_path / "media").faults([tmp_path / "train.jsonl", tmp_path / "val.jsonl"]))
    assert {s.split for s in val} == {"val"}
    assert built.dropped["synth-clips: in train with a person of val"] == 1
    assert not {s.speaker for s in train if s.corpus == "synth-clips"} & {s.speaker for s in val}
    assert not (tmp_path / "parts").exists()
    for sample in train + val:
        for path in sample.media.paths():
            assert (tmp_path / "media" / path).is_file()
    of_one = [s for s in train if s.corpus == "synth-clips" and "train-000000" in s.id]
    assert 12 <= len(of_one) <= 25
    assert {t.type for s in of_one for t in s.tasks} >= {"describe", "reason", "question", "empathy", "multi-label"}


def test_two_builds_are_the_same_and_parts_are_kept(folder, synth, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for out in (one, other):
        out.mkdir()
        build(folder, [synth], out, movements, seed=3)
    assert (one / "train.jsonl").read_bytes() == (other / "train.jsonl").read_bytes()
    calls = []

    def stop(what, done, of):
        calls.append(what)
        if what == "clips told and checked":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(folder, [synth], one, movements, seed=4, say=stop)
    assert (one / "train.jsonl").read_bytes() == (other / "train.jsonl").read_bytes()  # replaced only when all is there
    assert (one / "parts" / "faces.jsonl").is_file()
    stamp = (one / "parts" / "faces.jsonl").stat().st_mtime_ns
    build(
        folder,
        [synth],
        one,
        movements,
        seed=4,
        resume=True,
        say=lambda what, done, of: calls.append((one / "parts" / "faces.jsonl").stat()),
    )
    assert {c.st_mtime_ns for c in calls if not isinstance(c, str)} == {stamp}


def test_the_command_writes_a_card_and_show_prints(folder, synth, tmp_path):
    run = CliRunner()
    done = run.invoke(app, ["open", "--data", str(folder), "--synth", str(synth), "--out", str(tmp_path), "--workers", "1"])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "card.json").read_text("utf-8"))
    assert card["samples"] == sum(card["by_split"].values())
    assert set(card["by_level"]) == {"perception", "understanding", "interaction"}
    assert "emollm data open" in (tmp_path / "card.md").read_text("utf-8")
    shown = run.invoke(app, ["show", str(tmp_path / "train.jsonl"), "--count", "5"])
    assert shown.exit_code == 0
    assert shown.output.startswith("1. ")
    again = run.invoke(app, ["show", str(tmp_path / "train.jsonl"), "--count", "5"])
    assert again.output == shown.output


def test_duplicates_leave_train_before_val():
    def line(number, split, said, corpus="a", **extra):
        return Item(f"{corpus}:{number}", corpus, "text", split, "sad", None, text=said, extra=extra)

    items = [
        line(1, "train", "Same."), line(2, "val", "Same."), line(3, "train", "Twice."), line(4, "train", "Twice."),
        line(5, "train", "this one is said by both series", "a"), line(6, "val", "This one is said by both series!", "b"),
    ]  # fmt: skip
    kept, context, dropped = duplicates.without(items, lambda item: b"")
    assert [i.id for i in kept] == ["a:2", "a:3", "b:6"]
    assert [i.id for i in context] == ["a:4"]
    assert dropped == {
        "a: in both splits, dropped from train": 1, "a: twice in train": 1, "a: a line of 6 words or more that a val split holds": 1,
    }  # fmt: skip


def test_the_frozen_benchmark_is_refused(tmp_path):
    settings = {"seed": 41, "people": 120, "persons": [1, 2], "seconds": [4.0, 8.0], "fps": 25.0, "size": 224, "voices": "espeak"}
    (tmp_path / "settings-val.json").write_text(json.dumps(settings), "utf-8")
    (tmp_path / "truth.jsonl").write_text("", "utf-8")
    with pytest.raises(DataError, match="frozen benchmark synth-fec"):
        synth_folders([tmp_path])
    with pytest.raises(DataError, match=r"no truth\.jsonl"):
        synth_folders([tmp_path / "nothing"])


def test_votes_make_labels_and_answers():
    import random

    item = Item(
        "ferplus:1",
        "ferplus",
        "face",
        "train",
        "happy",
        None,
        "f.zip::1.jpg",
        extra={"votes": [3, 5, 1, 0, 0, 0, 0, 0], "votes_unknown": 1},
    )
    labels = ("neutral", "happy", "surprise")
    found = [s for seed in range(30) for s in faces.sample(item, labels, "MIT", "data/f.zip::1.jpg", random.Random(seed))]
    assert faces.several(item.extra["votes"]) == ["happy", "neutral"]  # 5 and 3 of 9 are a quarter or more
    assert {t.type for t in found[0].tasks} == {"emotion", "multi-label", "open-vocabulary"}
    answers = {s.tasks[0].answer for s in found if s.level == "understanding"}
    assert answers
    assert any("five said happy" in a for a in answers)


def test_what_is_asked_of_a_voice_is_not_given():
    import random

    extra = {"lang": "da", "arousal": 4.33, "valence": 1.67, "annotators": ["angry", "angry", "sad"]}
    item = Item("emotale:1", "emotale", "speech", "val", "angry", "emotale:1", "s.zip::1.opus", "Dugen ligger på køleskabet.", extra)
    found = [s for seed in range(40) for s in speech.samples(item, ("angry", "sad"), "x", "data/s.zip::1.opus", random.Random(seed))]
    assert all(s.transcript is None for s in found if s.id.endswith(("/said", "/language")))
    judged = {s.tasks[0].answer for s in found if s.id.endswith("/judged")}
    assert judged
    assert all("angry" in a and "sad" in a for a in judged)
    assert next(t for t in found[0].tasks if t.type == "valence").value == 1.67
    assert {s.split for s in found} == {"val"}


def test_rejected_dialogues_teach_no_reply(folder):
    one, rejected = Corpus(folder).items("care")
    (found,) = list(support.replies(one, "CC"))
    assert found.reply == "I am sorry to hear that. how did it happen, and how are you coping?"
    assert list(support.replies(rejected, "CC")) == []


def test_lines_of_a_table_lose_its_quotation_marks():
    assert text.unquoted('"He said ""no"" to me."') == 'He said "no" to me.'
    assert text.unquoted('"Fine," she said.') == '"Fine," she said.'
    assert text.spaced("Good-bye Monica , we had   trouble ... oh !") == "Good-bye Monica, we had trouble ... oh!"
    assert text.spaced("one\ntwo  .5 or ...") == "one\ntwo .5 or ..."
    assert text.name_of(Item("e:1", "emorynlp", "text", "train", "sad", "emory:['Ann', 'Ben']", text="Hi")) == "Ann and Ben"


def test_a_clip_yields_only_what_holds():
    told = clips.tell(open_scenes.two(), "synth", "synth/clips/train-000001.mp4", movements, 0)
    assert told.checked >= len(told.samples) - 1
    asked = [t.question for s in told.samples for t in s.tasks if t.question and s.tasks[0].type == "question"]
    seatless = [q for q in asked if "person" not in q and "people" not in q and "them" not in q.casefold()]
    assert not [q for q in seatless if "brows" in q or "mouth" in q]  # among two people, a face is always somebody's
