"""Folders of clips through real decoding and a toy's encoders: parallel, resumable, one bad file never stopping the rest."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from emollm import batch, weights
from emollm.build import measuring_maker
from emollm.errors import EmollmError

SAMPLE = Path(__file__).parents[1] / "instruct_data/samples/sample_joy.mp4"
MAKER = measuring_maker("emollm", "toy", 4.0, 24)


@pytest.fixture(scope="module", autouse=True)
def _detector():
    weights.pull("mediapipe-face")


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("matplotlib")
    inside = tmp_path / "clips"
    (inside / "deeper").mkdir(parents=True)
    shutil.copy(SAMPLE, inside / "a.mp4")
    shutil.copy(SAMPLE, inside / "deeper" / "a.mp4")
    (inside / "broken.mp4").write_bytes(b"<html>not a film</html>")
    (inside / "notes.txt").write_text("not media")
    return inside


def summary(out):
    return {r["file"]: r["status"] for r in csv.DictReader((out / "summary.csv").open())}


def test_a_folder_gives_files_a_summary_and_names_the_broken_one(folder, tmp_path):
    out = tmp_path / "out"
    paths = batch.find_clips([folder])
    assert [p.name for p in paths] == ["a.mp4", "broken.mp4", "a.mp4"]
    outcomes = batch.analyze_all(paths, out, batch.FORMATS, MAKER, key="k", workers=2)
    assert [o.status for o in outcomes] == ["done", "failed", "done"] and "broken" in outcomes[1].path.name and outcomes[1].error
    for name in ("a", "a-mp4"):
        for ending in (".json", ".faces.csv", ".stretches.csv", ".srt", ".vtt", ".png", ".frames.png"):
            assert (out / (name + ending)).is_file(), name + ending
    assert (
        json.loads((out / "a.json").read_text())["people"]
        and summary(out)[str(folder / "broken.mp4")] == "failed"
        and len(summary(out)) == 3
    )
    again = batch.analyze_all(paths, out, ["json"], MAKER, key="k")
    assert [o.status for o in again] == ["kept", "failed", "kept"] and again[0].face == outcomes[0].face
    (out / "a.json").unlink()
    assert batch.analyze_all(paths[:1], out, ["json"], MAKER, key="k")[0].status == "done" and (out / "a.json").is_file()
    other = batch.analyze_all(paths[:1], out, ["json"], MAKER, key="other encoders")
    assert other[0].status == "done"


def test_other_bytes_under_the_same_name_are_measured_again(folder, tmp_path):
    out = tmp_path / "out"
    path = folder / "a.mp4"
    assert batch.analyze_all([path], out, ["json"], MAKER, key="k")[0].status == "done"
    shutil.copy(SAMPLE.with_name("sample_sad.mp4"), path)
    assert batch.analyze_all([path], out, ["json"], MAKER, key="k")[0].status == "done"
    assert batch.analyze_all([path], out, ["json", "srt"], MAKER, key="k")[0].status == "done"  # a format more than before


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(EmollmError, match="no file"):
        batch.find_clips([tmp_path / "none.mp4"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmollmError, match="no videos"):
        batch.find_clips([tmp_path / "empty"])


def test_names_of_outputs_never_meet():
    paths = [Path("x/a.mp4"), Path("y/a.mp4"), Path("z/a.wav"), Path("w/a.mp4")]
    names = batch.names_for(paths)
    assert len(set(names.values())) == 4 and names[paths[0]] == "a"
