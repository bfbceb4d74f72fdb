"""Folders in processes of this machine: a killed worker loses no file, and a file that kills workers stops nothing."""

from fragile import measured


def test_a_killed_worker_loses_no_file_and_a_deadly_one_stops_nothing(tmp_path):
    _, found, (_, out, marks) = measured(tmp_path, 3)
    assert {name for name, o in found.items() if o.status in ("done", "kept")} == {"clip0", "clip1", "clip2", "victim"}
    assert "died" in found["poison"].error and (marks / "poison.log").read_text() in ("x", "xx")
    assert "broken" in found["broken"].error
    assert all((out / f"{name}.json").is_file() for name in ("clip0", "clip1", "clip2", "victim"))
