import clips
import numpy as np
import odd_clips
import pytest

from emollm.errors import MediaError
from emollm.media.decode import Limits, decode_clip


def written(tmp_path, data, name="clip"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_video_with_sound(clips_folder):
    clip = decode_clip(clips_folder / "video.mp4")
    assert clip.kind == "video"
    assert clip.frames.dtype == np.uint8 and clip.frames.shape[1:] == (48, 64, 3)
    assert len(clip.frames) == len(clip.times_s) and clip.times_s[0] == pytest.approx(0, abs=0.11)
    assert clip.audio is not None and len(clip.audio) == pytest.approx(8000, abs=2048)
    assert np.abs(clip.audio).max() == pytest.approx(0.3, abs=0.1)
    assert clip.warnings == ()


def test_what_is_absent_is_none(clips_folder):
    assert decode_clip(clips_folder / "silent.mp4").audio is None
    sound = decode_clip(clips_folder / "sound.wav")
    assert sound.kind == "audio" and len(sound.frames) == 0 and len(sound.audio) == 8000
    picture = decode_clip(clips_folder / "picture.png")
    assert picture.kind == "image" and picture.frames.shape == (1, 24, 32, 3) and picture.duration_s == 0


def test_content_decides_not_the_name(tmp_path):
    assert decode_clip(written(tmp_path, clips.wav(), "clip.mp4")).kind == "audio"
    assert decode_clip(written(tmp_path, clips.png(), "clip.mp4")).kind == "image"
    assert decode_clip(written(tmp_path, clips.video(), "clip.png")).kind == "video"


@pytest.mark.parametrize(("degrees", "corner"), [(0, (0, 0)), (90, (0, 1)), (180, (1, 1)), (270, (1, 0))])
def test_rotation_is_applied(tmp_path, degrees, corner):
    data = odd_clips.turned(degrees) if degrees else odd_clips.cornered()
    frame = decode_clip(written(tmp_path, data)).frames[0]
    assert frame.shape[:2] == ((96, 128) if degrees % 180 == 0 else (128, 96))
    bright = {(y, x): frame[-8 if y else 8, -8 if x else 8].mean() > 128 for y in (0, 1) for x in (0, 1)}
    assert [at for at, is_bright in bright.items() if is_bright] == [corner]


def test_times_are_those_of_presentation(tmp_path):
    stamps = [0, 500, 600, 700, 2000, 3000]
    clip = decode_clip(written(tmp_path, odd_clips.cornered(times=stamps)), Limits(fps=30))
    assert clip.times_s.tolist() == pytest.approx([t / 1000 for t in stamps], abs=0.002)


def test_truncated_with_the_index_in_front(tmp_path):
    clip = decode_clip(written(tmp_path, odd_clips.half(index_first=True)))
    assert 1.5 < clip.duration_s < 4.5
    assert clip.times_s[-1] <= clip.duration_s
    assert any(w.startswith("media_truncated") and "6.0" in w for w in clip.warnings)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"<html><body>not found</body></html>", "cannot be read"),
        (odd_clips.half(index_first=False), "cannot be read"),
        (b"#EXTM3U\n#EXTINF:3,\nvideo.mp4\n#EXT-X-ENDLIST\n", "cannot be read"),
        (b"ffconcat version 1.0\nfile video.mp4\n", "cannot be read"),
    ],
)
def test_unreadable_files_say_so(tmp_path, data, said):
    (tmp_path / "video.mp4").write_bytes(clips.video())
    with pytest.raises(MediaError, match=said) as caught:
        decode_clip(written(tmp_path, data))
    assert caught.value.code == "media_unreadable"


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "nothing.mp4", tmp_path):
        with pytest.raises(MediaError) as caught:
            decode_clip(path)
        assert caught.value.code == "not_found"


def test_huge_picture_is_refused_before_decoding(tmp_path):
    with pytest.raises(MediaError) as caught:
        decode_clip(written(tmp_path, clips.png(size=(400, 300))), Limits(image_pixels=100_000))
    assert caught.value.code == "image_too_large"


def test_memory_is_bounded_by_limits(tmp_path):
    path = written(tmp_path, odd_clips.cornered(30.0, fps=10))
    clip = decode_clip(path, Limits(frames=16, fps=10, side_px=32))
    assert len(clip.frames) <= 16 and max(clip.frames.shape[1:3]) == 32
    assert clip.times_s[-1] > 25  # thinned over the whole length, not cut off
    assert np.ptp(np.diff(clip.times_s)) < 0.2
    short = decode_clip(path, Limits(seconds=5))
    assert short.times_s[-1] <= 5 and any(w.startswith("media_shortened") for w in short.warnings)


@pytest.mark.parametrize(("hz", "channels"), [(8_000, 1), (44_100, 2), (48_000, 6)])
def test_any_sound_becomes_16_khz_mono(tmp_path, hz, channels):
    tone = np.sin(2 * np.pi * 440 * np.arange(hz) / hz) * 0.4
    clip = decode_clip(written(tmp_path, odd_clips.wav_of(np.repeat(tone[:, None], channels, 1), hz, channels)))
    assert len(clip.audio) == pytest.approx(16_000, abs=32)
    spectrum = np.abs(np.fft.rfft(clip.audio[:16_000]))
    assert int(spectrum.argmax()) == 440


def test_sound_without_samples(tmp_path):
    clip = decode_clip(written(tmp_path, odd_clips.wav_of([])))
    assert clip.audio is None and any(w.startswith("audio_empty") for w in clip.warnings)
    assert decode_clip(written(tmp_path, odd_clips.wav_of(np.zeros(320)))).duration_s == pytest.approx(0.02)
