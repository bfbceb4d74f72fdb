"""Drawn samples as conversations: what is shown is what the inputs say, and what is missing is left out."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from paths import SAMPLES
from unified_rows import sample

from emollm.data.asking import tasks_for
from emollm.data.conversation import ClipView
from emollm.data.features import Seen
from emollm.data.mixture_spec import INPUTS
from emollm.data.unified_corpus import UnifiedCorpus
from emollm.data.unified_mixture import Draw
from emollm.data.unified_tasks import heard_streams, to_sample
from emollm.errors import DataError
from emollm.media.decode import Limits, decode_clip
from emollm.recipe import load_recipe

JOY = {"video": "sample_joy.mp4"}


def draw(kind, inputs=INPUTS, number=0, **changes):
    one = sample(kind, number, **changes)
    return Draw(5, "made", kind, tasks_for(kind, one)[0], one, inputs, "0/5")


def seen(items, streams=("face", "voice")):
    views = ClipView(
        "video", 4.0, dict.fromkeys(streams, 2), dict.fromkeys(streams, (0.0, 1.0)), dict.fromkeys(streams, (("cue",), ())), words="heard"
    )
    return {i.id: Seen(i, views, {s: torch.zeros(2, 4) for s in streams}) for i in items}


def made(one, streams=("face", "voice")):
    items = UnifiedCorpus(SAMPLES).items(one)
    return to_sample(one, items, seen(items, streams) if streams else {}, {"voice"})


def test_a_clip_and_its_question():
    one = draw("emotion", media=JOY, number=2)
    turns = made(one).turns
    assert [t.role for t in turns] == ["user", "assistant"] and turns[1].text == "happy" and turns[1].learn
    assert turns[0].text == one.asked().question and not turns[0].learn
    assert turns[0].clip.words == "This is line 2." and set(turns[0].clip.tokens) == {"face", "voice"}
    assert set(made(one).features) == {"face", "voice"}


@pytest.mark.parametrize(
    ("inputs", "streams", "words", "view"),
    [
        (("sound", "words"), {"voice"}, "This is line 0.", "voice"),
        (("picture",), {"face"}, None, "face"),
        (INPUTS, {"face", "voice"}, "This is line 0.", "clip"),
    ],
)
def test_only_what_the_inputs_name_is_shown(inputs, streams, words, view):
    one = draw("emotion", inputs, media=JOY)
    clip = made(one).turns[0].clip
    assert set(clip.tokens) == set(clip.cues) == set(clip.marks_s) == streams == set(made(one).features)
    assert clip.words == words
    assert one.view == view and clip.kind == ("audio" if view == "voice" else "video")


def test_what_was_not_found_is_left_out_and_never_asked_about():
    one = draw("emotion", media=JOY)
    assert made(one, ("voice",)).turns[0].clip.tokens == {"voice": 2}
    read = made(one, ()).turns[0]
    assert read.clip is None and read.text.startswith("A: This is line 0.\n") and read.text != one.asked().question
    for kind in ("reason", "think", "describe-facial"):
        assert made(draw(kind, media=JOY), ()) is None
    assert made(draw("emotion", ("picture",), media=JOY), ("voice",)) is None
    assert made(draw("emotion", media=JOY, transcript=None), ()) is None


def test_words_alone():
    one = draw("emotion", media={}, speaker="show/Ann", transcript="Stop it {now}!", history=[{"role": "assistant", "text": "Hm?"}])
    turns = made(one, ()).turns
    assert turns[0].text == "Hm?" and turns[0].role == "assistant" and not turns[0].learn
    assert turns[1].text == f"Ann: Stop it {{now}}!\n{one.asked().question}"


def test_replies_follow_the_history():
    turns = made(draw("empathy-chain", media=JOY, transcript=None)).turns
    assert [t.role for t in turns] == ["user", "assistant"] and turns[0].text.startswith("I lost my keys.\n") and turns[0].clip is not None
    assert turns[1].text.startswith("Event: lost keys\n") and turns[1].text.endswith("I am here.")
    assert made(draw("empathy", media={}, transcript=None), ()).turns[0].clip is None


def test_the_same_draw_asks_the_same():
    one = draw("emotion", media=JOY)
    assert one.asked() == one.asked() and one.asked() != replace(one, seed="0/6").asked()


def test_which_files_are_looked_at(tmp_path):
    corpus = UnifiedCorpus(SAMPLES)
    both = {"video": "sample_joy.mp4", "audio": "sample_sad.mp4"}
    assert [i.path for i in corpus.items(draw("emotion", media=both))] == ["sample_joy.mp4"], "the video has its own sound"
    assert [i.path for i in corpus.items(draw("emotion", ("sound", "words"), media=both))] == ["sample_sad.mp4"]
    assert [i.path for i in corpus.items(draw("emotion", ("sound",), media=JOY))] == ["sample_joy.mp4"]
    assert corpus.items(draw("emotion", ("words",), media=both)) == ()
    item = corpus.items(draw("emotion", media=JOY))[0]
    assert item.label == "anger" and corpus.read(item) == (SAMPLES / "sample_joy.mp4").read_bytes()
    with pytest.raises(DataError, match=r"sample 'made/0' needs made/0.mp4, which is not in"):
        corpus.items(draw("emotion"))
    with pytest.raises(DataError, match="give the folder of the media with --media"):
        UnifiedCorpus(tmp_path / "none")


def test_a_folder_of_pictures_is_a_film(tmp_path):
    (tmp_path / "clip").mkdir()
    for k in range(5):
        cv2.imwrite(str(tmp_path / "clip" / f"{k:03d}.jpg"), np.full((61, 40, 3), 40 * k, np.uint8))
    corpus = UnifiedCorpus(tmp_path)
    (tmp_path / "film").write_bytes(corpus.read(corpus.items(draw("emotion", media={"video": "clip"}))[0]))
    film = decode_clip(tmp_path / "film", Limits(fps=25))
    assert film.kind == "video" and len(film.frames) == 5 and film.audio is None
    assert [round(float(f.mean()) / 40) for f in film.frames] == [0, 1, 2, 3, 4]


def test_streams_that_hear():
    wanted = {"emollm": {"voice"}, "nano-emox": {"audio", "audio-depths"}, "emotion-llama-v2": {"audio"}, "favchat": set()}
    assert {name: set(heard_streams(load_recipe(name))) for name in wanted} == wanted


def test_face_and_sound_file_are_joined():
    one = draw("emotion", media={"image": "sample_joy.mp4", "audio": "sample_sad.mp4"})
    items = UnifiedCorpus(SAMPLES).items(one)
    found = {**seen(items[:1], ("face",)), **seen(items[1:], ("voice",))}
    joined = to_sample(one, items, found, {"voice"})
    assert set(joined.features) == {"face", "voice"} and joined.turns[0].clip.words == "This is line 0."
