import numpy as np
import pytest

from emollm.motion import motions, moves, said, together
from emollm.units import INDEX, UNITS, both
from emollm.values import FaceReading, FaceTrack

FPS = 8.0


def face(seconds=8.0, units=None, pose=None, fps=FPS):
    """A face at rest, with what is set on top."""
    n = round(seconds * fps)
    times = np.arange(n) / fps
    track = FaceTrack(np.arange(n), times, np.zeros((n, 4)), np.zeros((n, 468, 3), np.float32), np.full((n, 2, 3), np.nan), np.ones(n))
    whole = np.full((n, len(UNITS)), 0.02, np.float32) if units is None else units(times)
    turned = np.zeros((n, 3)) if pose is None else pose(times)
    return FaceReading(track, ("neutral",), np.ones((n, 1)), (), turned, whole)


def during(times, begin, end, **strengths):
    return 0.02 + np.outer((times >= begin) & (times < end), both(**strengths))


def told(reading, speech=()):
    return [(round(m.start_s, 1), m.name, m.side) for m in motions(reading, speech)]


def test_a_face_at_rest_does_nothing():
    assert told(face()) == []


def test_movements_come_in_order_with_their_times():
    reading = face(units=lambda t: during(t, 1, 2.5, noseSneer=0.8, browDown=0.6) + during(t, 5, 7, mouthSmile=0.9))
    found = told(reading)
    assert [name for _, name, _ in found] == ["browDown", "noseSneer", "mouthSmile"]
    assert [when for when, _, _ in found] == pytest.approx([1.0, 1.0, 5.0], abs=0.25)
    assert moves(motions(reading)) == (
        (1.0, ("nose wrinkles", "brows draw down and together")),
        (5.0, ("corners of the mouth rise",)),
    )


def test_a_resting_level_is_no_movement():
    """Somebody whose brows are low all the time frowns no more than usual."""
    assert told(face(units=lambda t: during(t, 0, 99, browDown=0.5))) == []


def test_one_side_is_named():
    def smirk(times):
        units = np.full((len(times), len(UNITS)), 0.02)
        units[(times > 2) & (times < 4), INDEX["mouthSmileLeft"]] = 0.8
        return units

    (one,) = motions(face(units=smirk))
    assert one.side == "left" and said(one) == "the corners of the mouth rise on the left side"


def test_a_blink_is_no_narrowing_of_the_eyes():
    assert told(face(units=lambda t: during(t, 2, 2.25, eyeBlink=0.9, eyeSquint=0.6))) == []


def test_a_speaking_mouth_is_not_read_but_a_smile_is():
    reading = face(units=lambda t: during(t, 2, 3, jawOpen=0.7, mouthStretch=0.6) + during(t, 4, 5, mouthSmile=0.9))
    assert [n for _, n, _ in told(reading)] == ["jawOpen", "mouthStretch", "mouthSmile"]
    assert [n for _, n, _ in told(reading, [(1.5, 5.5)])] == ["mouthSmile"]


@pytest.mark.parametrize(
    ("axis", "degrees", "name"),
    [(0, 20, "turn left"), (0, -20, "turn right"), (1, 12, "turn down"), (1, -12, "turn up"), (2, 10, "tilt right"), (2, -10, "tilt left")],
)
def test_a_turned_head(axis, degrees, name):
    def turned(times):
        pose = np.zeros((len(times), 3))
        pose[(times > 3) & (times < 4.5), axis] = degrees
        return pose

    assert [n for _, n, _ in told(face(pose=turned))] == [name]


@pytest.mark.parametrize(("axis", "name"), [(0, "shake"), (1, "nod")])
def test_to_and_fro(axis, name):
    def swinging(times):
        pose = np.zeros((len(times), 3))
        inside = (times > 3) & (times < 4.7)
        pose[inside, axis] = 8 * np.sin(2 * np.pi * 1.8 * (times[inside] - 3))
        return pose

    assert [n for _, n, _ in told(face(pose=swinging))] == [name]


def test_a_glance():
    reading = face()
    reading.units[24:32, [INDEX["eyeLookOutLeft"], INDEX["eyeLookInRight"]]] = 0.6
    assert [n for _, n, _ in told(reading)] == ["glance left"]


def test_frames_far_apart_tell_nothing():
    assert told(face(60, units=lambda t: during(t, 10, 20, mouthSmile=0.9), fps=1.0)) == []


def test_of_very_many_the_strongest_are_told_in_order():
    def busy(times):
        return sum((during(times, 2 * k, 2 * k + 1, mouthSmile=0.4 + 0.02 * k) for k in range(20)), np.zeros((len(times), len(UNITS))))

    found = together(motions(face(40, units=busy)), most=5)
    assert len(found) == 5 and [g[0].start_s for g in found] == sorted(g[0].start_s for g in found)
    assert min(g[0].start_s for g in found) > 25
