"""A folder through real Ray Data: no row is lost with a worker that is killed, and a file that kills workers stops nothing."""

import csv
import json

import pytest
from fragile import Fragile, measured

from emollm import batch
from emollm.cluster import data

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here")]


def test_a_killed_worker_loses_no_row_and_a_deadly_file_stops_nothing(tmp_path):
    paths, found, (inside, out, marks) = measured(tmp_path, 4, runner=data.run)
    assert len(found) == len(paths) == 7
    assert {name for name, o in found.items() if o.status == "done"} == {"clip0", "clip1", "clip2", "clip3", "victim"}
    assert "died" in found["poison"].error and (marks / "poison.log").read_text() == "x" * (data.RETRIES + 1)
    assert "broken" in found["broken"].error
    assert json.loads((out / "victim.json").read_text())["kind"] == "audio"
    assert len(list(csv.DictReader((out / "summary.csv").open()))) == 7

    (inside / "poison.wav").unlink()
    again = batch.analyze_all(batch.find_clips([inside]), out, ["json"], Fragile(marks), key="k", workers=2, runner=data.run)
    assert sorted(o.status for o in again) == ["failed", *["kept"] * 5]
