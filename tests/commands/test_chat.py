"""The command line as a user meets it, in a process of its own."""

import json
import subprocess
import sys

import pytest
from paths import HAVE_WEIGHTS, SAMPLES

JOY = str(SAMPLES / "sample_joy.mp4")


def emollm(*arguments, given=None):
    return subprocess.run([sys.executable, "-m", "emollm", *arguments], capture_output=True, text=True, input=given, check=False)


def test_json_at_toy_scale_has_every_field():
    done = emollm("chat", JOY, "--ask", "How?", "--json", "--scale", "toy", "--max-tokens", "5")
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    wanted = {"answer", "emotion", "evidence", "timeline", "transcript", "usage", "timings_s", "warnings", "system", "scale"}
    assert set(out) == wanted
    assert set(out["evidence"]) == {"face", "voice", "words"}
    assert sum(out["emotion"]["scores"].values()) == pytest.approx(1, abs=0.01)


def test_text_only_names_what_is_missing():
    out = json.loads(emollm("chat", "--ask", "I feel low.", "--json", "--scale", "toy", "--max-tokens", "3").stdout)
    assert all(not e["present"] and e["reason"] for e in out["evidence"].values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chat", "nowhere.mp4", "--ask", "x"), "no file at nowhere.mp4"),
        (("chat", JOY, "--ask", "x", "--system", "emolm"), "Did you mean 'emollm'"),
        (("chat", JOY, "--json"), "--ask"),
        (("eval", "open-meld"), "--data"),
        (("dance",), "dance"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(arguments, said):
    done = emollm(*arguments)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


def test_bad_file_is_one_line_and_code_2(tmp_path):
    path = tmp_path / "page.mp4"
    path.write_text("<html>", "utf-8")
    done = emollm("chat", str(path), "--ask", "x", "--scale", "toy")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1 and "cannot be read" in done.stderr


def test_interactive_chat_keeps_history_and_survives_a_fault():
    done = emollm("chat", "--scale", "toy", "--max-tokens", "3", given="hello\n" + "x" * 9000 + "\nagain\n/clear\n/quit\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("> ") >= 4 and "Shorten it" in done.stderr


def test_eval_list_and_systems():
    assert "open-meld" in emollm("eval", "--list").stdout
    assert "emollm" in emollm("systems").stdout


@pytest.mark.skipif(not HAVE_WEIGHTS, reason="needs `emollm weights pull mini`")
def test_doctor_is_content():
    done = emollm("doctor")
    assert done.returncode == 0 and "smollm2-135m-instruct: ready" in done.stdout
