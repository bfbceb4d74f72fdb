"""Folders in processes of this machine: a killed worker loses no file, and a file that kills workers stops nothing."""

import os
import signal
import threading

import clips
from fragile import Fragile, until

from emollm import batch


def test_a_killed_worker_loses_no_file_and_a_deadly_one_stops_nothing(tmp_path):
    inside, out, marks = (tmp_path / name for name in ("clips", "out", "marks"))
    inside.mkdir()
    marks.mkdir()
    for number in range(3):
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
    outcomes = batch.analyze_all(paths, out, ["json"], Fragile(marks), key="k", workers=2)
    killer.join()

    found = {o.path.stem: o for o in outcomes}
    assert [o.path for o in outcomes] == paths
    assert {name for name, o in found.items() if o.status in ("done", "kept")} == {"clip0", "clip1", "clip2", "victim"}
    assert "died" in found["poison"].error and (marks / "poison.log").read_text() in ("x", "xx")
    assert "broken" in found["broken"].error
    assert all((out / f"{name}.json").is_file() for name in ("clip0", "clip1", "clip2", "victim"))
