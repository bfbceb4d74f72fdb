"""Tables, subtitles and pictures of an Analysis made by hand, so that every cell can be checked."""

import csv
import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from emollm.exports import figure, sheet, subtitles, tables
from emollm.values import Analysis, FaceReading, FaceTrack, Segment, Transcript, VoiceReading
from emollm.watch import Glimpse

TIMES = np.array([0.0, 0.5, 1.0, 1.5])


def track(index, left=10.0):
    n = len(index)
    boxes = np.tile([left, 5.0, left + 20, 35.0], (n, 1))
    return FaceTrack(np.array(index), TIMES[index], boxes, np.zeros((n, 468, 3)), np.full((n, 2, 3), np.nan), np.full(n, 0.9))


def reading(index, scores, left=10.0):
    return FaceReading(track(index, left), ("neutral", "happy"), np.array(scores, float), ("mouth open",))


@pytest.fixture
def analysis():
    faces = (reading([0, 1, 2, 3], [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]), reading([2, 3], [[1, 0], [1, 0]], left=60.0))
    voice = VoiceReading(((0.4, 1.6),), ("sad", "happy"), np.array([0.7, 0.3]), 180.0, 4.0, -20.0, ())
    words = Transcript("en", (Segment(0.4, 0.9, " =SUM(A1) is <b>not</b> --> it."), Segment(0.95, 1.6, "I am fine.")))
    return Analysis("clip.mp4", "video", "d" * 64, 2.0, faces, voice, words, {}, {}, {"decode": 0.1})


@pytest.fixture
def silence():
    return Analysis(
        "a.png", "image", "e" * 64, 0.0, (), None, None, {"face": "no face was found in the picture", "voice": "no sound"}, {}, {}
    )


def test_one_row_a_frame_and_face_under_known_names(analysis):
    rows = tables.face_rows(analysis)
    assert [(r["frame"], r["face_id"]) for r in rows] == [(0, 0), (1, 0), (2, 0), (2, 1), (3, 0), (3, 1)]
    assert rows[2]["happiness"] == 0.9 and rows[2]["timestamp"] == 1.0 and rows[3]["FaceRectX"] == 60.0 and rows[0]["FaceRectWidth"] == 20.0
    assert set(tables.FACE_HEADER) < set(rows[0])
    frame = tables.face_frame(analysis)
    assert len(frame) == 6 and frame.groupby("face_id").happiness.mean()[1] == 0.0


def test_a_cell_cannot_be_a_formula(analysis):
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(tables.stretch_rows(analysis)))))
    said = [r["text"] for r in rows if r["modality"] == "words"]
    assert all(not t.strip().startswith("=") for t in said)
    cells = tables.to_csv([{"text": "=1+1", "value": float("nan")}])
    assert cells == "text,value\n'=1+1,\n"


def test_tables_without_a_face_have_a_header_only(silence):
    assert tables.to_csv(tables.face_rows(silence), header=tables.FACE_HEADER) == ",".join(tables.FACE_HEADER) + "\n"
    assert tables.face_frame(silence).empty


def test_plain_data_is_json_and_names_what_it_is(analysis, silence):
    plain = json.loads(json.dumps(tables.to_plain(analysis)))
    assert [p["main"] for p in plain["people"]] == [True, False] and len(plain["people"][0]["scores"]) == 4
    assert "perceived" in plain["note"] and plain["transcript"]["language"] == "en"
    assert json.loads(json.dumps(tables.to_plain(silence)))["people"] == []


def test_a_pose_that_is_not_a_number_is_null(analysis):
    pose = np.array([[1.26, 0, 0], [np.nan, 0, 0], [0, 0, 0], [0, 0, 0]])
    turned = replace(analysis, faces=(replace(analysis.faces[0], pose=pose),))
    plain = json.loads(json.dumps(tables.to_plain(turned), allow_nan=False))
    assert plain["people"][0]["pose_degrees"][:2] == [[1.3, 0.0, 0.0], None]
    assert "nan" not in tables.to_csv(tables.face_rows(turned))


def test_subtitles_carry_what_was_seen_while_it_was_said(analysis):
    srt = subtitles.to_srt(analysis)
    assert srt.startswith("1\n00:00:00,400 --> 00:00:00,900\n[face: neutral, voice: sad]\n=SUM(A1) is <b>not</b> -> it.\n")
    assert "2\n00:00:00,950 --> 00:00:01,600\n[face: happy, voice: sad]\nI am fine.\n" in srt
    vtt = subtitles.to_vtt(analysis)
    assert vtt.startswith("WEBVTT\n\n00:00:00.400 --> 00:00:00.900\n") and "&lt;b&gt;" in vtt and vtt.count("-->") == 2


def test_no_words_give_no_subtitles(silence):
    assert subtitles.to_srt(silence) == "" and subtitles.to_vtt(silence) == "WEBVTT\n"


def test_times_beyond_an_hour():
    words = Transcript("en", (Segment(3725.5, 3725.5, "Late."),))
    late = Analysis("x", "audio", "d", 4000.0, (), None, words, {}, {}, {})
    assert "01:02:05,500 --> 01:02:05,800" in subtitles.to_srt(late)


@pytest.mark.parametrize("which", ["analysis", "silence"])
def test_the_timeline_is_drawn(which, request, tmp_path):
    pytest.importorskip("matplotlib")
    picture = cv2.imread(str(figure.draw_timeline(request.getfixturevalue(which), tmp_path / "t.png")))
    assert picture.shape[1] == 1100 and picture.std() > 5


def test_the_sheet_boxes_every_face(analysis, silence, tmp_path):
    glimpses = [Glimpse(i, t, np.full((144, 240, 3), 128, np.uint8), 2.4) for i, t in enumerate(TIMES)]
    picture = cv2.imread(str(sheet.contact_sheet(glimpses, analysis, tmp_path / "s.png")))[..., ::-1]
    assert picture.shape[:2] == (144, 960)
    orange = (np.abs(picture.astype(int) - sheet._MAIN).max(2) < 12).sum()
    blue = (np.abs(picture.astype(int) - sheet._OTHER).max(2) < 12).sum()
    assert orange > 1.5 * blue > 100
    assert sheet.contact_sheet([], silence, tmp_path / "none.png") is None and not (tmp_path / "none.png").exists()
