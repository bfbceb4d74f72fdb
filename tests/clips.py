"""Small clips of every kind as bytes, written with PyAV, so that no binary file is kept in the repository."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SOUND_HZ = 16_000


def video(seconds=0.5, *, sound=True, size=(64, 48), fps=10):
    """MP4: a bright square that moves, and a tone if asked."""
    width, height = size
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        picture = container.add_stream("mpeg4", rate=fps)
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        voice = container.add_stream("aac", rate=SOUND_HZ, layout="mono") if sound else None
        for i in range(round(seconds * fps)):
            pixels = np.full((height, width, 3), 40, np.uint8)
            pixels[8:24, 4 + 2 * i : 20 + 2 * i] = 220
            container.mux(picture.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(picture.encode())
        if voice is not None:
            _encode_tone(container, voice, seconds, "fltp")
    return buffer.getvalue()


def wav(seconds=0.5, *, hz=220.0):
    """WAV: a tone in 16 bits."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as container:
        _encode_tone(container, container.add_stream("pcm_s16le", rate=SOUND_HZ, layout="mono"), seconds, "s16", hz)
    return buffer.getvalue()


def png(size=(32, 24), *, shade=128):
    """PNG of one shade."""
    width, height = size
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "rgb24"
    codec.time_base = Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), shade, np.uint8), format="rgb24")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def write_all(folder: Path):
    """Write one clip of each kind into a folder."""
    files = {"video.mp4": video(), "silent.mp4": video(sound=False), "sound.wav": wav(), "picture.png": png()}
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _encode_tone(container, stream, seconds, sample_format, hz=220.0):
    times = np.arange(round(seconds * SOUND_HZ)) / SOUND_HZ
    tone = (0.3 * np.sin(2 * np.pi * hz * times)).astype(np.float32)
    samples = (tone * 32767).astype(np.int16) if sample_format == "s16" else tone
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format=sample_format, layout="mono")
        frame.sample_rate, frame.pts = SOUND_HZ, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
