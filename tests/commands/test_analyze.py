"""`emollm analyze` as a user types it, and the same from Python."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

import emollm
from emollm import weights
from emollm.exports.tables import face_frame

pytest.importorskip("matplotlib")
SAMPLE = Path(__file__).parents[2] / "instruct_data/samples/sample_joy.mp4"


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "emollm", "analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", autouse=True)
def _detector():
    weights.pull("mediapipe-face")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--formats", "json,xls"], "choose from json"), (["--formats", ","], "choose from"), (["nowhere.mp4"], "no file")],
)
def test_wrong_arguments_are_told_in_one_line(tmp_path, arguments, said):
    done = run(str(SAMPLE), "--out", str(tmp_path / "out"), *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_one_good_and_one_bad_clip(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    out = tmp_path / "out"
    done = run(str(SAMPLE), str(tmp_path / "bad.mp4"), "--out", str(out), "--scale", "toy", "--fps", "2", "--formats", "json,csv")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 clips" in done.stdout and "bad.mp4: FAILED" in done.stdout
    rows = list(csv.DictReader((out / "sample_joy.faces.csv").open()))
    assert len(rows) > 10 and {"timestamp", "happiness", "pose_Ry", "AU12_r", "FaceRectX"} <= set(rows[0])
    assert abs(float(rows[0]["pose_Ry"])) < 0.5


def test_only_bad_clips_are_a_failure(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    done = run(str(tmp_path / "bad.mp4"), "--out", str(tmp_path / "out"), "--scale", "toy", "--formats", "json")
    assert done.returncode == 2 and "no clip could be measured" in done.stderr


def test_from_python():
    found = emollm.analyze(SAMPLE, scale="toy")
    frame = face_frame(found)
    assert found.faces[0].units.shape == (len(frame), 52) and frame.timestamp.is_monotonic_increasing
    assert emollm.analyze(str(SAMPLE), scale="toy") is found
