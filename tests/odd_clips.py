"""Files as they come from real life: cut, turned, empty, mislabelled, of varying rate. All made here."""

import io
import struct
import tempfile
import wave
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# Display matrices of the MP4 track header, as phones write them.
TURNS = {
    90: (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30),
    180: (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    270: (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
}


def cornered(seconds=1.0, *, size=(128, 96), fps=10, index_first=False, times=None):
    """MP4 whose top left quarter is white; `times` are presentation times in milliseconds, for a varying rate."""
    rng = np.random.default_rng(0)
    width, height = size
    stamps = times or range(round(seconds * fps))
    with tempfile.TemporaryDirectory() as private:  # to put the index first the muxer must read its own file again
        path = Path(private) / "clip.mp4"
        with av.open(str(path), "w", options={"movflags": "faststart"} if index_first else {}) as out:
            stream = out.add_stream("mpeg4", rate=1000 if times else fps)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            unit = Fraction(1, 1000 if times else fps)
            stream.codec_context.time_base = unit
            stream.bit_rate = 4_000_000  # plenty, so that every frame costs alike
            for i, stamp in enumerate(stamps):
                pixels = rng.integers(0, 60, (height, width, 3), np.uint8)  # noise, so that every frame costs alike
                pixels[: height // 2, : width // 2] += 195
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = (stamp if times else i), unit
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return path.read_bytes()


def turned(degrees):
    """The cornered clip with a rotation in its header."""
    data = bytearray(cornered())
    at = data.find(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", *TURNS[degrees])
    return bytes(data)


def half(*, index_first):
    """The first half of an MP4: readable when the index stands in front, else not."""
    data = cornered(6.0, index_first=index_first)
    return data[: len(data) // 2]


def wav_of(samples, hz=16_000, channels=1, width=2):
    """WAV of float samples in [-1, 1]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(hz)
        out.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def float_wav(samples, hz=16_000):
    """WAV of 32-bit floats, which may hold what is no number."""
    data = np.asarray(samples, "<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, hz, 4 * hz, 4, 32, b"data", len(data))
    return head + data


def gif(frames, fps=5):
    """GIF of RGB frames."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="gif") as out:
        stream = out.add_stream("gif", rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb8"
        for pixels in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    return buffer.getvalue()


def png_header(width, height):
    """A PNG that claims to be huge and holds one compressed row of nothing."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(3 * width + 1))) + chunk(b"IEND", b"")


def film(frames, *, fps=10, degrees=0):
    """MP4 of RGB frames, with a rotation in its header if asked."""
    with tempfile.TemporaryDirectory() as private:
        path = Path(private) / "clip.mp4"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("mpeg4", rate=fps)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt, stream.bit_rate = "yuv420p", 8_000_000
            for pixels in frames:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
            out.mux(stream.encode())
        data = bytearray(path.read_bytes())
    if degrees:
        at = data.find(b"tkhd") + 4 + 40
        data[at : at + 36] = struct.pack(">9i", *TURNS[degrees])
    return bytes(data)
