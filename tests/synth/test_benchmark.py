"""Frozen sets: by name, told apart from others by their hashes."""

from dataclasses import replace

import pytest

pytest.importorskip("numba")

from emollm.errors import EmollmError
from emollm.synth import dataset
from emollm.synth.benchmark import benchmark, hashes, verdict


@pytest.fixture(scope="module")
def frozen():
    """A set as small as a frozen set can be."""
    row = benchmark("synth-fec", "val")
    settings = replace(row.settings, people=2, persons=(1, 1), seconds=(0.4, 0.4), fps=10, size=96, voices="none")
    return replace(row, settings=settings, clips=2)


@pytest.fixture(scope="module")
def made(frozen, tmp_path_factory):
    out = tmp_path_factory.mktemp("frozen")
    dataset.make(out, frozen.settings, 2)
    return out


def test_the_splits_of_synth_fec_differ_and_are_settled():
    train, val = benchmark("synth-fec", "train"), benchmark("synth-fec", "val")
    assert (train.clips, val.clips) == (1000, 100) and train.settings == replace(val.settings, split="train")
    assert val.settings.seed == 41 and val.settings.persons == (1, 2) and val.settings.seconds == (4.0, 8.0)


def test_an_unknown_set_is_refused_by_name():
    with pytest.raises(EmollmError, match="synth-fec"):
        benchmark("synth-face", "val")


def test_the_same_set_made_twice_is_the_same_bit_for_bit(frozen, made, tmp_path):
    dataset.make(tmp_path, frozen.settings, 2, workers=2)  # in other processes
    for folder, ending in (("clips", ".mp4"), ("truth", ".json.gz")):
        for number in range(2):
            name = f"{folder}/val-{number:06d}{ending}"
            assert (tmp_path / name).read_bytes() == (made / name).read_bytes(), name
    first, again = hashes(made, "val", 2), hashes(tmp_path, "val", 2)
    assert first == again
    known = replace(frozen, plan=first[0], bytes=first[1])
    assert verdict(known, tmp_path).endswith("bit for bit.")
    assert "NOT the frozen set" in verdict(replace(known, plan="0"), tmp_path)


def test_other_pixels_are_told_from_other_people(frozen, made, tmp_path):
    plan, whole = hashes(made, "val", 2)
    (tmp_path / "clips").mkdir()
    (tmp_path / "truth").mkdir()
    for name in ("val-000000", "val-000001"):
        (tmp_path / "truth" / f"{name}.json.gz").write_bytes((made / "truth" / f"{name}.json.gz").read_bytes())
        (tmp_path / "clips" / f"{name}.mp4").write_bytes((made / "clips" / f"{name}.mp4").read_bytes() + b"0")
    assert hashes(tmp_path, "val", 2)[0] == plan
    assert "other bytes" in verdict(replace(frozen, plan=plan, bytes=whole), tmp_path)
