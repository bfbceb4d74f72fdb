"""`emollm synth` as a user types it."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("numba")

from emollm import weights


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "emollm", "synth", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--persons", "0"], "above 0"),
        (["--persons", "2-9"], "between 1 and 6"),
        (["--persons", "many"], "give a number"),
        (["--seconds", "5-2"], "not above the second"),
        (["--size", "97"], "even number"),
        (["--split", "test"], "train or val"),
        (["--voices", "nowhere"], "existing folder"),
    ],
)
def test_wrong_options_are_told_in_one_line(tmp_path, arguments, said):
    done = run("--out", str(tmp_path), *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_without_recordings_is_refused(tmp_path):
    weights.pull("makehuman-head")
    (tmp_path / "empty").mkdir()
    options = ["--clips", "8", "--people", "1", "--seconds", "0.2", "--size", "96", "--workers", "1"]
    done = run("--out", str(tmp_path / "out"), *options, "--voices", str(tmp_path / "empty"))
    assert done.returncode == 2 and "no recordings" in done.stderr and "Traceback" not in done.stderr


def test_two_clips_with_a_preview(tmp_path):
    weights.pull("makehuman-head")
    options = ["--clips", "2", "--people", "2", "--seconds", "0.4", "--fps", "10", "--size", "96", "--voices", "none", "--workers", "1"]
    done = run("--out", str(tmp_path), *options, "--preview")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 2 and all((tmp_path / r["path"]).is_file() for r in rows)
    assert (tmp_path / "preview.png").is_file() and "2 clips" in done.stdout
    refused = run("--out", str(tmp_path), *options[:-4], "--voices", "none", "--size", "128")
    assert refused.returncode == 2 and "Give another folder" in refused.stderr
