"""Odd sounds and pictures through the whole measuring layer: each has its documented result (docs/analyze.md), never a crash or a NaN."""

import json

import clips
import cv2
import numpy as np
import odd_clips
import pytest
from paths import SAMPLES

from emollm import weights
from emollm.build import build_perception
from emollm.errors import MediaError
from emollm.exports import tables
from emollm.media.decode import Limits, decode_clip
from emollm.values import Clip

HZ = 16_000
NEEDS_FACES = pytest.mark.skipif(not weights.ready("mediapipe-face"), reason="needs `emollm weights pull mediapipe-face`")


@pytest.fixture(scope="module")
def perception():
    return build_perception("emollm", "toy")


@pytest.fixture(scope="module")
def speech():
    return decode_clip(SAMPLES / "sample_joy.mp4").audio


@pytest.fixture
def measured(perception, tmp_path):
    def measure(data, name="clip"):
        path = tmp_path / name
        path.write_bytes(data)
        analysis = perception.analyze(path)
        json.dumps(tables.to_plain(analysis), allow_nan=False)  # whatever was measured can be written down
        return analysis

    return measure


def in_channels(samples, count):
    return np.repeat(np.asarray(samples)[:, None], count, 1)


@pytest.mark.parametrize(
    ("change", "hz", "channels"),
    [
        (lambda a: a, 16_000, 1),
        (lambda a: in_channels(a, 8), 16_000, 8),
        (lambda a: a[::2], 8_000, 1),
        (lambda a: np.repeat(a, 6), 96_000, 1),
        (lambda a: np.clip(20 * a, -1, 1), 16_000, 1),
    ],
    ids=["16 bit", "8 channels", "8 kHz", "96 kHz", "clipped"],
)
def test_speech_is_heard_in_any_form(measured, speech, change, hz, channels):
    found = measured(odd_clips.wav_of(change(speech), hz, channels))
    assert found.kind == "audio" and found.duration_s == pytest.approx(len(speech) / HZ, abs=0.05)
    assert found.voice is not None and found.voice.scores.sum() == pytest.approx(1, abs=1e-5)
    assert found.voice.spans_s[0][0] == pytest.approx(0.73, abs=0.2)
    assert found.missing["face"] == "there is no picture"


@pytest.mark.parametrize(
    "samples",
    [np.zeros(3 * HZ), np.zeros(320), 0.02 * np.random.default_rng(0).normal(size=2 * HZ), np.eye(1, 2 * HZ, 500)[0]],
    ids=["silence", "20 ms", "noise", "click"],
)
def test_no_speech_is_absent_not_neutral(measured, samples):
    found = measured(odd_clips.wav_of(samples))
    assert found.voice is None and found.words is None and "voice" not in found.features
    assert found.missing["voice"] == found.missing["words"] == "no speech was found in the sound"


def test_a_sound_without_samples(measured):
    found = measured(odd_clips.wav_of([]))
    assert found.voice is None and found.missing["voice"] == "there is no sound"
    assert any(w.startswith("audio_empty") for w in found.warnings)


def test_samples_that_are_no_numbers_are_silence(measured, speech):
    broken = speech.copy()
    broken[HZ : 2 * HZ : 50] = np.nan
    broken[2 * HZ] = np.inf
    found = measured(odd_clips.float_wav(broken))
    assert any(w.startswith("audio_repaired") for w in found.warnings)
    assert found.voice is not None and np.isfinite(found.voice.scores).all()


def test_a_video_without_sound_and_a_still(measured):
    mute = measured(clips.video(sound=False))
    assert mute.kind == "video" and mute.missing["voice"] == "there is no sound"
    still = measured(clips.png())
    assert still.kind == "image" and still.missing["voice"] == "a still picture has no sound"
    assert still.duration_s == 0


@NEEDS_FACES
def test_no_face_is_said_and_scored_nowhere(measured):
    found = measured(odd_clips.cornered(2.0))
    assert found.faces == () and "face" not in found.features
    assert found.missing["face"].startswith("no face was found in")


@NEEDS_FACES
def test_a_crowd_is_capped_and_told(perception):
    joy = decode_clip(SAMPLES / "sample_joy.mp4", Limits(frames=4)).frames[0][60:360, 160:460]
    crowd = np.tile(cv2.resize(joy, (120, 120)), (5, 6, 1))
    found = perception.measure(Clip("crowd", "image", "x", 0.0, crowd[None], np.zeros(1), None))
    assert len(found.faces) == 8
    assert any(w.startswith("faces_capped") and "8 largest" in w for w in found.warnings)


def test_animated_and_still_gifs_and_webp(measured):
    frames = [np.full((40, 60, 3), 40 * k, np.uint8) for k in range(6)]
    assert measured(odd_clips.gif(frames)).kind == "video"
    assert measured(odd_clips.gif(frames[:1])).kind == "image"
    webp = cv2.imencode(".webp", frames[3])[1].tobytes()
    assert measured(webp).kind == "image"


def test_what_no_decoder_knows_is_refused(measured):
    heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400)
    with pytest.raises(MediaError) as caught:
        measured(heic, "photo.heic")
    assert caught.value.code in ("unsupported_media", "media_unreadable")


def test_a_picture_bomb_is_refused_from_its_header(measured):
    with pytest.raises(MediaError) as caught:
        measured(odd_clips.png_header(10_000, 10_000))
    assert caught.value.code == "image_too_large"


@NEEDS_FACES
def test_turned_clips_show_the_same_boxes(perception):
    """A quarter turn in the header must move no box by more than two percent of the picture."""
    upright = decode_clip(SAMPLES / "sample_joy.mp4", Limits(frames=3))
    boxes = []
    for degrees in (0, 90):
        turned = odd_clips.film([np.rot90(f, degrees // 90) for f in upright.frames], fps=2, degrees=degrees)
        found = perception.measure(decode_clip_of(turned))
        boxes.append(found.faces[0].track.boxes[0])
    assert np.abs(boxes[0] - boxes[1]).max() < 0.02 * upright.frames.shape[2]


def decode_clip_of(data):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        path.write_bytes(data)
        return decode_clip(path)


@NEEDS_FACES
def test_a_face_that_leaves_leaves_a_gap(perception):
    joy = decode_clip(SAMPLES / "sample_joy.mp4", Limits(fps=4)).frames
    empty = np.full_like(joy[0], 90)
    frames = np.stack([*joy[:6], *[empty] * 6, *joy[6:12]])
    found = perception.measure(Clip("c", "video", "x", 4.5, frames, np.arange(18) / 4, None))
    (face,) = found.faces
    assert not set(range(6, 12)) & set(face.track.index.tolist())
    from emollm.exports.report import face_stretches

    rows = face_stretches(face, 4.5)
    assert not any(row["start_s"] < 2.2 < row["end_s"] for row in rows)  # nothing is claimed while nobody is there


def test_the_same_sound_and_picture_give_the_same_numbers(perception):
    a, b = (perception.look(SAMPLES / "sample_sad.mp4")[0] for _ in range(2))
    assert a.voice.scores.tolist() == b.voice.scores.tolist()
    assert a.voice.curve.times_s.shape == a.voice.curve.level_db.shape
    assert [f.scores.tolist() for f in a.faces] == [f.scores.tolist() for f in b.faces]
