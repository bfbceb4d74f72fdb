"""Decoding in a process of its own gives the same clip, and what goes wrong there stays there."""

import os
import signal
import threading

import clips
import numpy as np
import odd_clips
import pytest

from emollm.errors import MediaError
from emollm.media import guarded
from emollm.media.decode import decode_clip
from emollm.media.guarded import Confinement, Guard

pytestmark = pytest.mark.skipif(not guarded.available(), reason="this system cannot limit processes")


@pytest.fixture(scope="module")
def guard():
    guard = Guard()
    guard.warm()
    yield guard
    guard.close()


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A clip that fills the pipe long before it is read."""
    path = tmp_path_factory.mktemp("long") / "clip.mp4"
    path.write_bytes(odd_clips.cornered(12.0, size=(480, 360), fps=8))
    return path


def written(tmp_path, data, name="clip.mp4"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["video.mp4", "silent.mp4", "sound.wav", "picture.png"])
def test_the_same_clip_as_here(guard, clips_folder, name):
    here, there = decode_clip(clips_folder / name), decode_clip(clips_folder / name, opened=guard.open)
    assert (there.name, there.kind, there.digest, there.duration_s, there.warnings) == (
        here.name, here.kind, here.digest, here.duration_s, here.warnings,
    )  # fmt: skip
    assert np.array_equal(there.frames, here.frames) and np.array_equal(there.times_s, here.times_s)
    assert (there.audio is None and here.audio is None) or np.array_equal(there.audio, here.audio)


def test_warnings_and_refusals_come_over(guard, tmp_path):
    path = written(tmp_path, odd_clips.half(index_first=True))
    assert decode_clip(path, opened=guard.open).warnings == decode_clip(path).warnings != ()
    for data, code in (
        (b"", "media_unreadable"),
        (b"<html>", "media_unreadable"),
        (odd_clips.png_header(10_000, 10_000), "image_too_large"),
    ):
        with pytest.raises(MediaError) as caught:
            decode_clip(written(tmp_path, data), opened=guard.open)
        assert caught.value.code == code and "clip.mp4" in str(caught.value)
    with pytest.raises(MediaError) as caught:
        decode_clip(tmp_path / "nothing.mp4", opened=guard.open)
    assert caught.value.code == "not_found" and guard.failures == 0


def test_pictures_and_sound_can_be_written_to_as_those_of_a_reel(guard, clips_folder):
    reel = guard.open(clips_folder / "video.mp4")
    assert reel.audio.flags.writeable and all(image.flags.writeable for _, image in reel.frames())


def test_one_process_serves_several_clips(guard, clips_folder):
    decode_clip(clips_folder / "video.mp4", opened=guard.open)
    (before,) = guard._idle
    decode_clip(clips_folder / "sound.wav", opened=guard.open)
    assert guard._idle == [before] and before.clips >= 2


def test_a_long_clip_is_refused_by_its_claim(tmp_path):
    guard = Guard(Confinement(seconds=2.0))
    path = written(tmp_path, odd_clips.cornered(6.0, size=(32, 32), fps=5))
    with pytest.raises(MediaError) as caught:
        guard.open(path)
    assert caught.value.code == "media_too_long" and "6 s" in str(caught.value)
    guard.close()


def test_a_killed_process_costs_one_clip(long):
    guard = Guard()
    reel = guard.open(long)
    frames = reel.frames()
    next(frames)
    os.kill(reel._process.id, signal.SIGKILL)
    with pytest.raises(MediaError) as caught:
        list(frames)
    assert caught.value.code == "decoder_failed" and guard.failures == 1
    assert len(decode_clip(long, opened=guard.open).frames) > 90
    guard.close()


def test_a_process_that_does_not_answer_is_given_up(long):
    guard = Guard()
    reel = guard.open(long)
    reel._left_s = 0.5  # of the 120 s it has
    os.kill(reel._process.id, signal.SIGSTOP)
    with pytest.raises(MediaError) as caught:
        list(reel.frames())
    assert caught.value.code == "decode_timeout" and guard.failures == 1
    with pytest.raises(ProcessLookupError):
        os.kill(reel._process.id, 0)
    guard.close()


def test_memory_is_bounded(tmp_path):
    big = written(tmp_path, clips.png(size=(5000, 5000)))
    for memory_mb, fits in ((440, False), (3072, True)):  # of address space, most of which the libraries take
        guard = Guard(Confinement(memory_mb=memory_mb))
        if fits:
            assert decode_clip(big, opened=guard.open).kind == "image"
        else:
            with pytest.raises(MediaError) as caught:
                decode_clip(big, opened=guard.open)
            assert caught.value.code in ("media_too_large", "decoder_failed", "media_unreadable")
        guard.close()


def test_a_reader_who_leaves_ends_the_process(long):
    guard = Guard()
    reel = guard.open(long)
    frames = reel.frames()
    next(frames)
    frames.close()
    with pytest.raises(ProcessLookupError):
        os.kill(reel._process.id, 0)
    assert guard.failures == 0
    guard.close()


def test_the_other_process_knows_no_secrets_and_cannot_write(long, monkeypatch):
    monkeypatch.setenv("EMOLLM_API_KEY", "canary")
    guard = Guard()
    reel = guard.open(long)
    proc = f"/proc/{reel._process.id}"
    if os.path.exists(proc):
        with open(f"{proc}/environ", "rb") as file:
            assert b"canary" not in file.read()
        with open(f"{proc}/limits") as file:
            limits = {line[:26].strip(): line[26:].split()[0] for line in file}
        assert limits["Max file size"] == "0" and limits["Max core file size"] == "0" and int(limits["Max address space"]) == 3072 * 2**20
    reel.close()
    guard.close()


def test_clips_side_by_side(guard, clips_folder):
    found = []

    def one():
        found.append(decode_clip(clips_folder / "video.mp4", opened=guard.open).digest)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1 and len(guard._idle) <= guarded.SPARE
