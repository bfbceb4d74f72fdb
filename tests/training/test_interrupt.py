"""A signal ends training with a checkpoint of the step at hand, and going on from it comes to the same losses."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def told(out, which, how):
    """What the script says: a process of its own, since a signal that goes astray ends the one it was sent to."""
    command = [sys.executable, str(HERE / "interrupt_script.py"), str(out), str(int(which)), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_where_it_was(tmp_path, which):
    found = told(tmp_path, which, "heeded")
    assert found["stopped"] and found["left"]
    (kept,) = found["kept"]
    assert int(kept.split("-")[1]) in (10, 11), "the first losses are told after ten steps, and the checkpoints of its own come at 200"
    rest, whole = dict(found["rest"]), dict(found["whole"])
    assert min(rest) > 10 and max(rest) == max(whole)
    for step, loss in rest.items():
        assert loss == pytest.approx(whole[step], rel=0.05, abs=0.02)


def test_an_ignored_signal_stays_ignored(tmp_path):
    found = told(tmp_path, signal.SIGINT, "ignored")
    assert not found["stopped"] and found["left"] and max(dict(found["whole"])) > 20, "it went on to the end"
