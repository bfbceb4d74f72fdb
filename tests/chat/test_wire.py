import json

import numpy as np

from emollm.chat.wire import analysis_from, measurements
from emollm.values import Analysis, FaceReading, FaceTrack, Segment, Transcript, VoiceCurve, VoiceReading


def test_an_analysis_survives_the_journey():
    rng = np.random.default_rng(0)
    track = FaceTrack(
        index=np.array([0, 2]),
        times_s=np.array([0.0, 0.4]),
        boxes=rng.uniform(0, 99, (2, 4)),
        landmarks=rng.uniform(0, 99, (2, 468, 3)),
        irises=np.full((2, 2, 3), np.nan),
        scores=np.array([0.9, 0.8]),
    )
    before = Analysis(
        name="a.mp4",
        kind="video",
        digest="d" * 64,
        duration_s=1.25,
        faces=(
            FaceReading(
                track,
                ("happy", "sad"),
                np.array([[0.75, 0.25], [0.5, 0.5]]),
                ("mouth corners raised",),
                pose=np.array([[1.0, -2.0, 3.0], [np.nan, 0.0, 0.0]]),
                units=rng.uniform(0, 1, (2, 52)),
                condition=rng.uniform(0, 1, (2, 3)),
            ),
        ),
        voice=VoiceReading(
            ((0.1, 0.9),),
            ("calm",),
            np.array([1.0]),
            float("nan"),
            3.5,
            -20.0,
            ("low pitch",),
            (None,),
            ((0.1, 0.9),),
            np.array([[1.0]]),
            np.array([[0.5, -0.5, 0.0]]),
            VoiceCurve(np.array([0.0, 0.1]), np.array([np.nan, 120.0]), np.array([-60.0, -20.0])),
        ),
        words=Transcript("en", (Segment(0.1, 0.9, "hello"),)),
        missing={},
        features={},
        timings_s={"decode": 0.5},
        warnings=("media_shortened: x",),
    )
    after = analysis_from(json.loads(json.dumps(measurements(before), allow_nan=False)))
    assert (after.name, after.kind, after.duration_s, after.warnings, after.words) == (
        "a.mp4",
        "video",
        1.25,
        before.warnings,
        before.words,
    )
    face = after.faces[0]
    assert face.labels == ("happy", "sad") and face.cues == ("mouth corners raised",)
    np.testing.assert_array_equal(face.scores, before.faces[0].scores)
    np.testing.assert_array_equal(face.track.index, track.index)
    np.testing.assert_allclose(face.track.landmarks, track.landmarks, atol=1e-6)
    np.testing.assert_allclose(face.units, before.faces[0].units, atol=1e-6)
    np.testing.assert_allclose(face.pose, before.faces[0].pose)
    assert face.track.irises.shape == (2, 2, 3) and np.isnan(face.track.irises).all()
    assert np.isnan(after.voice.pitch_hz) and after.voice.pitch_range_st == 3.5 and after.voice.spans_s == ((0.1, 0.9),)
    np.testing.assert_allclose(face.condition, before.faces[0].condition, atol=1e-6)
    assert after.voice.pieces_s == ((0.1, 0.9),) and after.voice.dimensions.tolist() == [[0.5, -0.5, 0.0]]
    np.testing.assert_array_equal(after.voice.curve.pitch_hz, [np.nan, 120.0])
