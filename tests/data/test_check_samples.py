import json
import subprocess
import sys

import pytest
from sample_rows import row

from emollm.data.check import Checker
from emollm.errors import DataError


def write(path, *rows):
    path.write_text("".join(r if isinstance(r, str) else f"{json.dumps(r)}\n" for r in rows), "utf-8")
    return path


def check(*paths, **options):
    checker = Checker(**options)
    return [f"{f.line}: {f.said}" for f in checker.faults(paths)], checker


def test_a_good_file_has_no_faults_and_is_counted(tmp_path):
    many = [{"type": "open-vocabulary", "labels": [f"word{k:02}"]} for k in range(20)]
    path = write(
        tmp_path / "a.jsonl",
        row(),
        row(id="2", speaker="Ross", media={"video": "v.mp4"}),
        row(id="3", speaker="Rachel", split="test", media={"video": "t.mp4"}, tasks=many),
    )
    found, checker = check(path)
    assert not found and checker.samples == checker.lines == 3
    assert checker.summary() == [
        "meld train: 2",
        "  emotion: joy 2",
        "meld test: 1",
        f"  open-vocabulary: {', '.join(f'word{k:02} 1' for k in range(12))} and 8 more",
    ]


def test_every_fault_comes_in_one_pass_with_its_line(tmp_path):
    (tmp_path / "train_splits").mkdir()
    (tmp_path / "train_splits/dia0_utt1.mp4").touch()
    path = write(
        tmp_path / "a.jsonl",
        row(),
        "{bad\n",
        "\n",
        row(),
        row(id="5", media={"video": "nowhere.mp4"}),
        row(id="6", split="test"),
        row(id="7", peak_frame=-1, language="eng"),
        row(id="8", split="test"),
    )
    found, checker = check(path, media=tmp_path)
    assert found == [
        "2: not valid JSON: key must be a string at line 1 column 2",
        "3: the line is empty",
        "4: id 'meld/train/dia0_utt1' is there already, in line 1",
        f"5: there is no nowhere.mp4 in {tmp_path}",
        "6: speaker 'Joey' of meld is in test, but also in train (line 1)",
        "6: train_splits/dia0_utt1.mp4 of meld is in test, but also in train (line 1)",
        "7: language: 'eng' is no ISO 639-1 code; write two lower-case letters such as 'en' or 'zh', or null where unknown",
        "7: peak_frame: frame -1 does not exist; frames are counted from 0",
    ]
    assert checker.found == 8 and checker.samples == 5 and checker.lines == 8


def test_several_files_are_checked_as_one(tmp_path):
    one = write(tmp_path / "one.jsonl", row())
    two = write(tmp_path / "two.jsonl", row(), row(id="9", split="val", speaker=None))
    found, _ = check(one, two)
    assert found == [
        f"1: id 'meld/train/dia0_utt1' is there already, in {one}, line 1",
        f"2: train_splits/dia0_utt1.mp4 of meld is in val, but also in train ({one}, line 1)",
    ]


def test_speakers_may_be_shared_and_other_corpora_and_folds_do_not_count(tmp_path):
    other = {"split": "test", "media": {"video": "t.mp4"}}
    path = write(tmp_path / "a.jsonl", row(), row(id="2", **other))
    assert check(path, shared_speakers=True)[0] == [] and len(check(path)[0]) == 1
    assert not check(write(tmp_path / "b.jsonl", row(), row(id="2", split="test", corpus="emorynlp")))[0]
    assert not check(write(tmp_path / "c.jsonl", row(fold=1), row(id="2", split="test", fold=2)))[0]


def test_only_hashes_are_kept(tmp_path):
    path = write(tmp_path / "a.jsonl", *(row(id=f"x{i}", media={"video": f"{i}.mp4"}) for i in range(50)))
    _, checker = check(path)
    kept = [*checker._ids, *checker._ids.values(), *checker._first, *checker._first.values()]
    assert all(type(k) is int for k in kept) and not checker._places


def test_no_file_is_told(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*nowhere.jsonl: No such file"):
        check(tmp_path / "nowhere.jsonl")


def test_the_command_ends_with_code_2_at_a_fault(tmp_path):
    good, bad = write(tmp_path / "good.jsonl", row()), write(tmp_path / "bad.jsonl", row(), row())
    for path, code in ((good, 0), (bad, 2)):
        done = subprocess.run([sys.executable, "-m", "emollm", "data", "check", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == code and "  emotion: joy" in done.stdout
    assert "line 2: id" in done.stdout and "1 fault(s) in" in done.stderr and "Traceback" not in done.stderr
