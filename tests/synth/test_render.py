"""Rendered people: found by the detector, moved by their units, true to their truth."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from emollm import weights
from emollm.errors import DataError
from emollm.media.decode import Limits, decode_clip
from emollm.media.tracks import FaceTracker

pytest.importorskip("numba")

from emollm.synth import dataset, landmarks, scene
from emollm.synth.clip import Settings, identity, write_script
from emollm.synth.mesh import load_head
from emollm.synth.render import Actor, Camera, Light, Pose, render
from emollm.synth.turns import sentences
from emollm.units import INDEX, UNITS, both

LIGHT = Light(
    toward=np.array([[0.3, 0.4, 0.86]], np.float32),
    colour=np.full((1, 3), 0.8, np.float32),
    sky=np.full(3, 0.45, np.float32),
    ground=np.full(3, 0.25, np.float32),
    exposure=1.1,
)
GREY = np.full((224, 224, 3), 0.25, np.float32)
CAMERA = Camera(224, 224)
STILL = np.zeros(len(UNITS), np.float32)


@pytest.fixture(scope="module", autouse=True)
def head():
    weights.pull("makehuman-head")
    weights.pull("mediapipe-face")
    return load_head()


@pytest.fixture(scope="module")
def tracker():
    return FaceTracker(weights.locate("mediapipe-face"))


def picture(actor, units=STILL, **pose):
    return render([(actor, Pose(units, place=(0, 0, 3.5), **pose))], CAMERA, LIGHT, GREY)


def pixels(shown):
    return (shown.image * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def actors():
    return [Actor.by_seed(seed) for seed in range(6)]


def test_the_detector_finds_every_person_once(actors, tracker):
    for actor in actors:
        shown = picture(actor)
        found = tracker.find(pixels(shown))
        assert len(found) == 1, actor.person.seed
        left, top, right, bottom = shown.people[0].box
        middle = np.asarray(found[0][0])[:, :2].mean(0)
        assert left < middle[0] < right and top < middle[1] < bottom


def test_landmarks_of_the_truth_are_where_the_detector_sees_them(actors, tracker):
    errors = []
    for actor in actors:
        shown = picture(actor)
        found = np.asarray(tracker.find(pixels(shown))[0][0])[:468, :2]
        true = landmarks.Anchors.of(actor.person).project(shown.people[0].points)
        apart = np.linalg.norm(shown.people[0].eyes[0] - shown.people[0].eyes[1])
        usual = list(landmarks.USUAL[17:])  # the 17 of the jaw line slide along it
        errors.append(np.median(np.linalg.norm(found[usual] - true[usual], axis=1)) / apart)
    assert np.median(errors) < 0.05, errors


def test_an_open_jaw_opens_the_mouth_the_detector_measures(actors, tracker):
    actor, opened = actors[0], []
    for strength in np.linspace(0, 0.8, 7):
        points = np.asarray(tracker.find(pixels(picture(actor, both(jawOpen=float(strength)))))[0][0])
        opened.append(np.linalg.norm(points[13, :2] - points[14, :2]))
    assert np.corrcoef(opened, np.linspace(0, 0.8, 7))[0, 1] > 0.9


def test_a_unit_moves_its_own_side(actors, head):
    base = actors[0].base
    units = STILL.copy()
    units[INDEX["mouthSmileLeft"]] = 1
    moved = np.linalg.norm(head.moved(base, units) - head.moved(base, STILL), axis=1)
    assert moved[head.points[:, 0] > 0.1].max() > 5 * moved[head.points[:, 0] < -0.1].max()


def test_turning_left_turns_to_the_right_of_the_picture(actors):
    shown = picture(actors[1], yaw=25.0).people[0]
    front = picture(actors[1]).people[0]
    nose = int(load_head().points[:, 2].argmax())
    assert shown.points[nose, 0] > front.points[nose, 0] + 3
    assert shown.gaze[0] == pytest.approx(25)


def test_the_nearer_person_covers_the_farther(actors):
    behind = Pose(STILL, place=(0.5, 0, -4))
    both_shown = render([(actors[0], Pose(STILL, place=(0, 0, 1))), (actors[1], behind)], CAMERA, LIGHT, GREY)
    alone = render([(actors[1], behind)], CAMERA, LIGHT, GREY)
    assert both_shown.people[0].visible > 0.8
    assert both_shown.people[1].visible < 0.5 * alone.people[0].visible


def test_people_differ_and_a_person_is_always_the_same(actors):
    again = Actor.by_seed(0)
    assert np.array_equal(picture(again).image, picture(actors[0]).image)
    assert np.abs(picture(actors[1]).image - picture(actors[0]).image).mean() > 0.01


def test_a_sensor_records_uint8_and_a_perfect_one_changes_little():
    perfect = scene.Sensor(0, 0, 0, (1, 1, 1), 1, 0)
    image = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)
    recorded = scene.expose(image, perfect, np.random.default_rng(0))
    assert recorded.dtype == np.uint8 and np.abs(recorded / 255 - image).max() < 0.003
    poor = scene.Sensor(0.05, 1.0, 20, (1.1, 1, 0.9), 0.8, 30)
    assert scene.expose(image, poor, np.random.default_rng(0)).shape == image.shape


def test_splits_share_no_person_and_no_sentence():
    train, val = Settings(), Settings(split="val")
    assert {identity(train, i) for i in range(500)}.isdisjoint(identity(val, i) for i in range(500))
    for family, lines in sentences("train").items():
        assert set(lines).isdisjoint(sentences("val")[family]) and sentences("val")[family]


SMALL = Settings(seed=5, people=3, seconds=(1.0, 1.0), fps=10, size=96, voices="none")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    dataset.make(out, SMALL, 3)
    return out


def test_a_clip_can_be_decoded_and_its_truth_fits(made):
    rows = [json.loads(line) for line in (made / "truth.jsonl").read_text().splitlines()]
    assert [r["name"] for r in rows] == ["train-000000", "train-000001", "train-000002"]
    for row in rows:
        clip = decode_clip(made / row["path"], Limits(fps=10))
        truth = dataset.read_truth(made / "truth" / f"{row['name']}.json.gz")
        person = truth["people"][0]
        assert len(clip.frames) == len(person["units"]) == len(person["boxes"]) == len(person["head"]) == 10
        assert clip.frames.shape[1:3] == (96, 96) and clip.audio is None
        assert len(person["units"][0]) == 52 and truth["captions"][0]["plain"]
        assert "units" not in row["people"][0]


def test_a_stopped_run_goes_on_and_gives_the_same_bytes(made, tmp_path):
    dataset.make(tmp_path, SMALL, 1)
    seen = []
    dataset.make(tmp_path, SMALL, 3, progress=lambda done, of: seen.append((done, of)))
    assert seen[0] == (1, 3) and seen[-1] == (3, 3)
    for name in ("truth/train-000000.json.gz", "truth/train-000002.json.gz", "clips/train-000001.mp4", "truth.jsonl"):
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes(), name


def test_a_folder_of_other_settings_is_refused(made):
    with pytest.raises(DataError, match="size 96, not 128"):
        dataset.make(made, Settings(seed=5, people=3, seconds=(1.0, 1.0), fps=10, size=128, voices="none"), 3)


def test_a_contact_sheet_shows_every_clip(made):
    path = dataset.contact_sheet(made, columns=3)
    assert path.stat().st_size > 2000


def test_several_people_have_one_main_character():
    script = write_script(Settings(seed=1, people=6, persons=(3, 3), seconds=(1.0, 1.0), fps=10, size=96, voices="none"), 0)
    assert len(script.roles) == 3 and len({r.actor.person.seed for r in script.roles}) == 3
    nearest = max(range(3), key=lambda i: script.roles[i].place[2])
    assert script.main == nearest == 0


def test_truth_files_are_plain_json(made):
    with gzip.open(made / "truth" / "train-000000.json.gz", "rt") as file:
        truth = json.load(file)
    assert truth["unit_names"] == list(UNITS) and truth["people"][0]["main"] is True


def test_what_a_killed_run_left_half_written_is_swept(tmp_path):
    (tmp_path / "clips").mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    part = tmp_path / "clips" / f".train-000001.{dead.pid}.mp4"
    mine = tmp_path / "clips" / f".train-000002.{os.getpid()}.mp4"
    part.write_bytes(b"half")
    mine.write_bytes(b"of a process that lives")
    dataset.make(tmp_path, SMALL, 1)
    assert not part.exists() and mine.exists()
