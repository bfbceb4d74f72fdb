import cv2
import numpy as np
import pytest
from paths import SAMPLES

from emollm import weights
from emollm.media.align import crop_face, face_square, normalise_landmarks
from emollm.media.decode import Limits, decode_clip
from emollm.media.detector import Region, overlap
from emollm.media.tracks import PRESENCE, FaceTracker

pytestmark = pytest.mark.skipif(not weights.ready("mediapipe-face"), reason="needs `emollm weights pull mediapipe-face`")


@pytest.fixture(scope="module")
def tracker():
    return FaceTracker(weights.locate("mediapipe-face"), irises=True)


@pytest.fixture(scope="module")
def joy():
    return decode_clip(SAMPLES / "sample_joy.mp4", Limits(fps=4))


@pytest.fixture(scope="module")
def sad():
    return decode_clip(SAMPLES / "sample_sad.mp4", Limits(fps=4))


def followed(tracker, frames):
    return tracker(frames, [i / 4 for i in range(len(frames))])


def test_one_person_is_one_track_through_the_clip(tracker, joy):
    (track,) = tracker(joy.frames, joy.times_s)
    assert len(track.index) == len(joy.frames)
    assert track.landmarks.shape == (len(joy.frames), 468, 3) and track.irises.shape == (len(joy.frames), 2, 3)
    assert (track.scores > 0.5).all()
    eyes = track.landmarks[:, (33, 263), :2].mean(0)  # subject's right eye is on the left of the picture
    assert eyes[0, 0] < eyes[1, 0]
    distance = np.linalg.norm(eyes[0] - eyes[1])
    assert np.linalg.norm(track.irises[:, 0, :2].mean(0) - eyes[0]) < 0.3 * distance


def test_two_people_are_two_tracks(tracker, joy, sad):
    frames = []
    for a, b in zip(joy.frames[:8], sad.frames[:8], strict=True):
        wide = np.zeros((480, 960, 3), np.uint8)
        wide[:, 480:] = a[:, 80:560]
        wide[120:360, 120:360] = cv2.resize(b[:, 80:560], (240, 240))
        frames.append(wide)
    large, small = sorted(followed(tracker, frames), key=lambda t: -np.ptp(t.boxes[0, ::2]))
    assert large.boxes[:, 0].mean() > 480 > small.boxes[:, 2].mean()
    assert len(large.index) == len(small.index) == 8


def test_a_face_that_leaves_and_returns_is_a_gap(tracker, joy):
    empty = np.full_like(joy.frames[0], 90)
    (track,) = followed(tracker, [*joy.frames[:4], empty, empty, empty, *joy.frames[4:8]])
    assert track.index.tolist() == [0, 1, 2, 3, 7, 8, 9, 10]


def test_no_face_no_track(tracker):
    noise = np.random.default_rng(0).integers(0, 255, (6, 240, 320, 3), np.uint8)
    assert followed(tracker, noise) == ()
    assert followed(tracker, np.full((6, 240, 320, 3), 128, np.uint8)) == ()


def test_shot_and_reverse_shot_are_two_people(tracker, joy, sad):
    """The mesh would slide from one face to the other at the cut; looks tell that it is somebody else, and who comes back."""
    following = tracker.follow()
    shots = [*joy.frames[:5], *sad.frames[:5], *joy.frames[5:10]]
    who = [[s.person for s in following.see(i / 4, image)] for i, image in enumerate(shots)]
    assert following.cuts_s == [1.25, 2.5]
    assert who == [[0]] * 5 + [[1]] * 5 + [[0]] * 5


def test_a_crowd_is_capped_and_counted(tracker, joy):
    face = cv2.resize(joy.frames[0][60:360, 160:460], (120, 120))
    following = tracker.follow()
    seen = following.see(0.0, np.tile(face, (3, 4, 1)))
    assert len(seen) == tracker.most < following.crowd


def test_a_small_close_up_is_found(tracker, joy):
    tight = cv2.resize(joy.frames[0][80:320, 190:420], (48, 48))
    assert len(tracker.find(tight)) == 1


def test_alignment_takes_position_size_and_roll_away(tracker, joy):
    image = joy.frames[0]
    ((points, _),) = tracker.find(image)
    moved = cv2.warpAffine(image, np.array([[0.6, 0.25, 20.0], [-0.25, 0.6, 150.0]]), (640, 480))
    ((points_moved, _),) = tracker.find(moved)
    difference = np.abs(normalise_landmarks(points)[:, :2] - normalise_landmarks(points_moved)[:, :2])
    assert difference.mean() < 0.012
    a, b = crop_face(image, points, 64).astype(float), crop_face(moved, points_moved, 64).astype(float)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9


def test_square_holds_the_whole_face(tracker, joy):
    ((points, _),) = tracker.find(joy.frames[0])
    square = face_square(points)
    assert isinstance(square, Region)
    assert np.abs(normalise_landmarks(points)[:, :2]).max() < 0.5


def test_overlap_by_hand():
    # 10 x 10 boxes shifted by 5: shared 50, union 150.
    assert overlap(np.array([0, 0, 10, 10.0]), np.array([5, 0, 15, 10.0])) == pytest.approx(1 / 3)
    assert overlap(np.array([0, 0, 10, 10.0]), np.array([20, 0, 30, 10.0])) == 0


def test_a_face_cut_out_by_others_is_found_and_a_blank_one_is_not(tracker, joy):
    (whole,) = tracker.find(joy.frames[0])
    left, top, right, bottom = np.concatenate([whole[0][:, :2].min(0), whole[0][:, :2].max(0)]).round().astype(int)
    cut = np.ascontiguousarray(cv2.resize(joy.frames[0][top:bottom, left:right], (48, 48), interpolation=cv2.INTER_AREA))
    ((landmarks, presence),) = tracker._cut_out(cut, PRESENCE)
    assert presence > 0.5
    expected = (whole[0][:, :2] - [left, top]) * [48 / (right - left), 48 / (bottom - top)]
    assert np.abs(landmarks[:, :2] - expected).mean() < 2.5  # pixels
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)
    assert tracker._cut_out(noise, PRESENCE) == [] and tracker.find(np.full((48, 48, 3), 120, np.uint8)) == []
