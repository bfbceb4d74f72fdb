import json
import subprocess
import sys

import pytest
from tiny_releases import RELEASES, table, write

from emollm import catalog
from emollm.commands.data import BEGIN, END
from emollm.commands.data import list_ as list_readers
from emollm.commands.data import table as reader_table
from emollm.data import reader_specs, readers
from emollm.data.check import Checker
from emollm.data.rows import Table, rows
from emollm.data.schema import parse_sample
from emollm.errors import DataError


def shown(sample):
    """A sample with its answers and descriptions as plain fields, as the tiny releases expect them."""
    answers = {t.type: t.label or t.labels or t.value for t in sample.tasks}
    asked = next(({"question": t.question, "answer": t.answer} for t in sample.tasks if t.question), {})
    given = {name: getattr(sample.descriptions, name).text for name in sample.descriptions.given()}
    given["audio_told"] = given.pop("audio", None)
    media = {kind: getattr(sample.media, kind) for kind in ("video", "audio", "image")}
    chain = sample.chain_of_empathy.model_dump() if sample.chain_of_empathy else {}
    turns = [t.role for t in sample.history]
    plain = {k: getattr(sample, k) for k in ("id", "split", "transcript", "language", "speaker", "level", "peak_frame", "reply", "fold")}
    kinds = ("emotion", "sentiment", "intent", "multi-label", "open-vocabulary", "valence")
    none = dict.fromkeys(kinds)
    return {**chain, **none, **answers, **given, **media, **plain, **asked, "turns": turns, "tasks": tuple(t.type for t in sample.tasks)}


def read(name, root, **options):
    built = readers.Built()
    return list(readers.samples(reader_specs.load_reader(name), root, built=built, **options)), built.left_out


def test_every_reader_has_a_release_in_miniature():
    assert sorted(RELEASES) == reader_specs.names()
    assert all(reader_specs.load_reader(name).name == name for name in RELEASES)


@pytest.mark.parametrize("name", sorted(RELEASES))
def test_a_release_becomes_the_samples_expected(name, tmp_path):
    release = RELEASES[name]
    found, left = read(name, write(release, tmp_path), **release.options)
    assert len(found) == len(release.samples)
    for sample, expected in zip(found, release.samples, strict=True):
        whole = shown(sample)
        assert {k: whole[k] for k in expected} == expected
        assert parse_sample(sample.line()) == sample
        assert sample.licence == reader_specs.load_reader(name).licence
    assert left == release.left_out


@pytest.mark.parametrize("name", sorted(RELEASES))
def test_what_a_build_writes_passes_the_check(name, tmp_path):
    release = RELEASES[name]
    out = tmp_path / "out.jsonl"
    built = readers.build(reader_specs.load_reader(name), write(release, tmp_path / "root"), out, **release.options)
    checker = Checker(shared_speakers=name == "meld")
    assert list(checker.faults([out])) == [] and checker.samples == built.written == len(release.samples)


def test_one_split_alone_needs_only_its_files(tmp_path):
    root = write(RELEASES["meld"], tmp_path)
    (root / "train_sent_emo.csv").unlink()
    assert [s.id for s in read("meld", root, split="test")[0]] == ["meld/test/dia0_utt0"]
    found, left = read("cmu-mosi", write(RELEASES["cmu-mosi"], tmp_path / "mosi"), split="val")
    assert len(found) == 1 and left == {"of other splits": 1}


def broken(name, root, file, old, new, **options):
    """The one fault that a change in a release gives."""
    write(RELEASES[name], root)
    path = root / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DataError) as caught:
        read(name, root, **{**RELEASES[name].options, **options})
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "said"),
    [
        (
            "meld",
            "train_sent_emo.csv",
            "Emotion",
            "Emotoin",
            "meld: train_sent_emo.csv, line 1: unknown column 'Emotion'; known: Dialogue_ID, Emotoin",
        ),
        (
            "meld",
            "dev_sent_emo.csv",
            "joy",
            "joyy",
            "meld: dev_sent_emo.csv, line 2, column 'Emotion': unknown label 'joyy'; "
            "known: anger, disgust, fear, joy, neutral, sadness, surprise. Did you mean 'joy'?",
        ),
        ("meld", "test_sent_emo.csv", "disgust", "", "test_sent_emo.csv, line 2, column 'Emotion': empty, but every row has a label"),
        ("meld", "train_sent_emo.csv", "Joey,", "Joey,x,", "train_sent_emo.csv, line 2: 12 fields found, but there are 11 columns: Sr No."),
        ("meld", "train_sent_emo.csv", "Sr No.", "Speaker", "train_sent_emo.csv, line 1: a column is named twice"),
        ("meld", "train_sent_emo.csv", ",0,1,", ",0,2,", "train_sent_emo.csv, line 3: id 'meld/train/dia0_utt2' is there already"),
        ("cmu-mosi", "label.csv", "valid", "dev", "label.csv, line 3, column 'mode': unknown split 'dev'; known: test, train, valid."),
        ("cmu-mosi", "label.csv", "2.4", "4.2", "label.csv, line 2, column 'label': value 4.2 is outside its scale of -3 to 3"),
        ("cmu-mosi", "label.csv", "2.4", "two", "label.csv, line 2, column 'label': a number was expected, found 'two'"),
        (
            "ferv39k",
            "4_setups/All_scenes/train_All.csv",
            " Fear",
            "",
            "train_All.csv, line 2: 1 fields found, but there are 2 columns: clip, emotion",
        ),
        ("dfew", "EmoLabel_DataSplit/test(single-labeled)/set_3.csv", "5,3", "5,8", "set_3.csv, line 2, column 'label': unknown label '8'"),
        (
            "dfew",
            "EmoLabel_DataSplit/test(single-labeled)/set_3.csv",
            "5,3",
            "x,3",
            "column 'video_name': a whole number was expected, found 'x'",
        ),
        ("iemocap", "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt", "\tneu\t", " neu ", "Ses01F_impro01.txt, line 3: '[6.2901"),
        (
            "iemocap",
            "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt",
            "neu",
            "neo",
            "Ses01F_impro01.txt, line 3, column 'emotion': unknown",
        ),
        (
            "m3ed",
            "annotation.json",
            "Happy,Surprise",
            "Happy,Joy",
            "entry show_one/one_1/one_1_1, column 'EmoAnnotation.final_mul_emo': unknown label 'Joy'",
        ),
        (
            "m3ed",
            "annotation.json",
            '"Dialog"',
            '"Dialogue"',
            "annotation.json, entry show_one/one_1: unknown key 'Dialog'; known: Dialogue, SpeakerInfo",
        ),
        ("m3ed", "annotation.json", "{", "{,", "annotation.json, line 1, column 2: not valid JSON"),
        (
            "m3ed",
            "annotation.json",
            "show_two",
            "show_six",
            "column 'show': unknown split 'show_six'; known: show_one, show_three, show_two",
        ),
        (
            "avamerg",
            "train.json",
            'speaker", "utter',
            'wearer", "utter',
            "entry 0/0, column 'dialogue_history', turn 1: 'role' of speaker or listener",
        ),
        ("avamerg", "train.json", "event_scenario", "event", "train.json, entry 0/0: unknown column 'chain_of_empathy.event_scenario'"),
        (
            "mer-caption-plus",
            "track3_train_mercaptionplus.csv",
            "reason",
            "reasons",
            "line 1: unknown column 'reason'; known: name, reasons",
        ),
        (
            "mer-caption-plus",
            "subtitle_chieng.csv",
            "chinese",
            "zh",
            "subtitle_chieng.csv, line 1: unknown column 'chinese'; known: english, name, zh",
        ),
        ("merr", "MERR_fine_grained.json", '"12"', '"first"', "column 'peak_index': a number was expected, found 'first'"),
    ],
)
def test_a_fault_of_a_release_is_told_with_its_place(name, file, old, new, said, tmp_path):
    assert said in broken(name, tmp_path, file, old, new)


def test_missing_files_and_odd_names_are_told(tmp_path):
    root = write(RELEASES["meld"], tmp_path / "meld")
    (root / "dev_sent_emo.csv").unlink()
    with pytest.raises(DataError, match=r"meld: no file dev_sent_emo.csv in .*; it holds: test_sent_emo.csv, train_sent_emo.csv. Give the"):
        read("meld", root)
    with pytest.raises(DataError, match=r"ravdess: no file \*\*/\*-.*wav in .*it is empty or no folder"):
        read("ravdess", tmp_path / "nowhere", split="train")
    root = write(RELEASES["crema-d"], tmp_path / "crema")
    (root / "AudioWAV/1001_IEO_JOY_LO.wav").touch()
    with pytest.raises(DataError, match=r"AudioWAV/1001_IEO_JOY_LO.wav, column 'emotion': unknown label 'JOY'; known: ANG"):
        read("crema-d", root, split="train")
    (root / "AudioWAV/1001_IEO_JOY_LO.wav").rename(root / "AudioWAV/0.wav")
    with pytest.raises(DataError, match=r"AudioWAV/0.wav: the file name does not have the shape"):
        read("crema-d", root, split="train")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("crema-d", {}, "crema-d has no official split: say with --split train, val or test"),
        ("dfew", {}, "dfew has 5 official folds: choose one with --fold 1 to 5."),
        ("dfew", {"fold": 6}, "choose one with --fold 1 to 5, not 6."),
        ("meld", {"fold": 1}, "meld has no folds"),
        ("ferv39k", {"split": "val"}, "ferv39k: unknown split 'val'; known: test, train"),
    ],
)
def test_choices_a_corpus_does_not_have(name, options, said, tmp_path):
    with pytest.raises(DataError, match=said):
        read(name, write(RELEASES[name], tmp_path), **options)


def test_no_half_file_is_left_behind(tmp_path):
    root = write(RELEASES["meld"], tmp_path / "root")
    (root / "test_sent_emo.csv").write_text("a,b\n1,2\n", "utf-8")
    out = tmp_path / "out.jsonl"
    out.write_text("from before\n", "utf-8")
    with pytest.raises(DataError, match=r"test_sent_emo.csv, line 1: unknown column"):
        readers.build(reader_specs.load_reader("meld"), root, out)
    assert out.read_text("utf-8") == "from before\n" and [p.name for p in tmp_path.iterdir() if p.is_file()] == ["out.jsonl"]
    with pytest.raises(DataError, match="there is no folder"):
        readers.build(reader_specs.load_reader("meld"), root, tmp_path / "nowhere/out.jsonl")


def test_a_release_without_samples_is_a_fault(tmp_path):
    root = write(RELEASES["meld"], tmp_path)
    for name in RELEASES["meld"].files:
        (root / name).write_text(table(("Sr No.", "Utterance")), "utf-8")
    with pytest.raises(DataError, match=r"meld: no sample in"):
        readers.build(reader_specs.load_reader("meld"), root, tmp_path / "out.jsonl")


MINE = """
name = "mine"
corpus = "mine"
title = "Mine"
source = "me"
licence = "CC0"
languages = ["en"]
[[tables]]
kind = "jsonl"
file = "rows.jsonl"
[split]
kind = "none"
[sample]
id = "{n:03d}"
transcript = "{text}"
[[tasks]]
type = "emotion"
column = "feels"
labels = ["joy", "anger"]
"""


def test_a_reader_of_ones_own_is_a_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE, "utf-8")
    (tmp_path / "rows.jsonl").write_text('{"n": 7, "text": "Ha!", "feels": "joy"}\n\n', "utf-8")
    (sample,) = read(str(path), tmp_path, split="test")[0]
    assert sample.id == "mine/007" and sample.transcript == "Ha!"
    (tmp_path / "rows.jsonl").write_text('{"n": 7}\n[]\n', "utf-8")
    with pytest.raises(DataError, match=r"rows.jsonl, line 1: unknown column 'feels'; known: n"):
        read(str(path), tmp_path, split="test")
    (tmp_path / "rows.jsonl").write_text("[]\n", "utf-8")
    with pytest.raises(DataError, match=r"rows.jsonl, line 1: an object was expected, found list"):
        read(str(path), tmp_path, split="test")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "none"', 'kind = "column"', "split rule 'column' needs a column"),
        ('kind = "none"', 'kind = "folder"', "split.kind: input should be"),
        ('labels = ["joy", "anger"]', "", "tasks.0: task 'emotion' needs labels"),
        ("{n:03d}", "{n|upper}", "unknown filter 'upper'; known: double, lower, stem"),
        ("{n:03d}", "{n", "a brace that belongs to no column"),
        ('file = "rows.jsonl"', 'file = "rows.jsonl"\nsplit = "test"', "does not go with a split of a table"),
        ('kind = "jsonl"', 'kind = "list"', "name its columns"),
        ('kind = "jsonl"', 'kind = "names"', "needs a pattern with named groups"),
        ("name =", "nmae =", "name: missing; nmae: unknown field"),
        ("name =", "name", "is not valid TOML"),
    ],
)
def test_a_faulty_reader_is_told(old, new, said, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace(old, new, 1), "utf-8")
    with pytest.raises(DataError) as caught:
        reader_specs.load_reader(str(path))
    assert said in str(caught.value)


def test_columns_that_no_row_has_are_told(tmp_path):
    built = readers.build(
        reader_specs.load_reader("mmeverse-mer2024"), write(RELEASES["mmeverse-mer2024"], tmp_path), tmp_path / "out.jsonl"
    )
    assert built.never_given == {"peak.peak_index"}
    built = readers.build(
        reader_specs.load_reader("mmeverse-mer2023"), write(RELEASES["mmeverse-mer2023"], tmp_path), tmp_path / "out.jsonl"
    )
    assert not built.never_given


def test_unknown_readers_are_told():
    with pytest.raises(DataError, match=r"unknown reader 'meldd'; known: .*Did you mean 'meld'"):
        reader_specs.load_reader("meldd")


def test_lines_are_counted_over_fields_of_several_lines(tmp_path):
    (tmp_path / "a.csv").write_text('\ufeffa,b\n1,"x\ny"\n2,z\n', "utf-8")
    found = list(rows(Table(kind="csv", file="a.csv"), tmp_path))
    assert [(r.place, r.text("b")) for r in found] == [("a.csv, line 2", "x\ny"), ("a.csv, line 4", "z")]
    (tmp_path / "a.csv").write_bytes(b"a\n\xe9\n")
    with pytest.raises(DataError, match=r"a.csv: not utf-8-sig at byte 2"):
        list(rows(Table(kind="csv", file="a.csv"), tmp_path))


def test_the_commands(tmp_path):
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "emollm", "data", *arguments], capture_output=True, text=True, check=False)

    root, out = write(RELEASES["ravdess"], tmp_path / "root"), tmp_path / "out.jsonl"
    done = run("build", "ravdess", "--root", str(root), "--out", str(out), "--split", "test")
    assert done.returncode == 0, done.stderr
    assert "2 samples (test 2)" in done.stdout and "left out: 1 with another channel" in done.stdout
    assert json.loads(out.read_text("utf-8").splitlines()[0])["corpus"] == "ravdess"
    done = run("build", "ravdess", "--root", str(root), "--out", str(out))
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1 and "no official split" in done.stderr
    assert run("build", "ravdess", "--root", str(root), "--out", str(out), "--split", "dev").returncode == 2
    done = run("check", str(out), "--media", str(root))
    assert done.returncode == 0 and "ravdess test: 2" in done.stdout
    listed = run("readers").stdout
    assert all(name in listed for name in reader_specs.names())


def test_the_page_of_readers_is_up_to_date():
    page = (catalog.folder("instruct_data").parent / "docs" / "data.md").read_text("utf-8")
    written = page.split(BEGIN)[1].split(END)[0]
    assert written == f"\n{reader_table()}", "run: emollm data readers --write docs/data.md"


def test_the_page_needs_a_place_for_the_table(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    list_readers(write=path)
    assert path.read_text("utf-8") == f"before\n{BEGIN}\n{reader_table()}{END}\nafter\n"
    path.write_text("no place", "utf-8")
    with pytest.raises(DataError, match="has no place for the table"):
        list_readers(write=path)


def test_every_reader_says_what_is_not_verified_or_has_a_file_it_was_read_from():
    """A reader without a doubt names a release whose layout is public: these are all."""
    sure = [name for name in reader_specs.names() if not reader_specs.unverified(name)]
    assert sure == ["caer", "cmu-mosei", "cmu-mosi", "crema-d", "ferv39k", "iemocap", "mintrec", "ravdess"]
