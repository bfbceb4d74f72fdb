"""A folder through real Ray Data: no row is lost with a worker that is killed, and a file that kills workers stops nothing."""

import csv
import json
import os
import signal
import threading

import clips
import pytest
from acting import Fragile, until

from emollm import batch
from emollm.cluster import data

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here")]


def test_a_killed_worker_loses_no_row_and_a_deadly_file_stops_nothing(tmp_path):
    inside, out, marks = (tmp_path / name for name in ("clips", "out", "marks"))
    inside.mkdir()
    marks.mkdir()
    for number in range(4):
        (inside / f"clip{number}.wav").write_bytes(clips.wav(0.5 + number / 10))
    (inside / "victim.wav").write_bytes(clips.wav(0.7, hz=300))
    (inside / "poison.wav").write_bytes(clips.wav(0.7, hz=400))
    (inside / "broken.wav").write_bytes(b"<html>no sound</html>")
    paths = batch.find_clips([inside])

    def kill():
        until((marks / "victim.pid").exists, "the victim")
        os.kill(int((marks / "victim.pid").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcomes = batch.analyze_all(paths, out, ["json"], Fragile(marks), key="k", workers=2, runner=data.run)
    killer.join()

    found = {o.path.stem: o for o in outcomes}
    assert [o.path for o in outcomes] == paths and len(found) == 7
    assert {name for name, o in found.items() if o.status == "done"} == {"clip0", "clip1", "clip2", "clip3", "victim"}
    assert "died" in found["poison"].error and (marks / "poison.log").read_text() == "x" * (data.RETRIES + 1)
    assert "broken" in found["broken"].error
    assert json.loads((out / "victim.json").read_text())["kind"] == "audio"
    assert len(list(csv.DictReader((out / "summary.csv").open()))) == 7

    (inside / "poison.wav").unlink()
    again = batch.analyze_all(batch.find_clips([inside]), out, ["json"], Fragile(marks), key="k", workers=2, runner=data.run)
    assert sorted(o.status for o in again) == ["failed", *["kept"] * 5]
