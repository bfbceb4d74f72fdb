"""A file of any kind to a Clip: upright frames with presentation times, and 16 kHz mono sound.

Content decides what a file is, not its name. Memory is bounded whatever the length: frames are thinned and shrunk while decoding,
sound is resampled as it streams, and what lies beyond `Limits.seconds` is left out with a warning.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from emollm.errors import MediaError
from emollm.values import AUDIO_HZ, Clip, Floats

log = logging.getLogger(__name__)
logging.getLogger("libav").setLevel(logging.CRITICAL)  # faults come back as exceptions and warnings of ours

# Only self-contained files: playlists and concatenation scripts could make the demuxer open other files or addresses.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,ogg,wav,w64,mp3,flac,aac,aiff,amr,caf,gif,apng,"
    "png_pipe,jpeg_pipe,jpegxl_pipe,webp_pipe,bmp_pipe,tiff_pipe,jpeg_mp,mjpeg,image2,webp"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept of a clip."""

    seconds: float = 600.0
    frames: int = 96
    fps: float = 8.0
    side_px: int = 960
    image_pixels: int = 50_000_000


DEFAULT_LIMITS = Limits()


def digest_of(path: Path) -> str:
    """sha256 of the file's bytes, the identity of a clip in every cache."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise MediaError(f"no file at {path}. Check the path.", code="not_found") from None
    except IsADirectoryError:
        raise MediaError(f"{path} is a folder; give the clip itself.", code="not_found") from None
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror}.", code="not_found") from None


def decode_clip(path: Path, limits: Limits = DEFAULT_LIMITS) -> Clip:
    """Decode a video, sound or picture file.

    Args:
        path: A local file; its suffix is ignored.
        limits: What is kept of it.

    Returns:
        The clip. A damaged file yields what could be decoded, with a warning.

    Raises:
        MediaError: `not_found`, `media_unreadable`, `unsupported_media` or `image_too_large`.
    """
    digest = digest_of(path)
    if path.stat().st_size == 0:
        raise MediaError(f"{path.name} is empty (0 bytes). Was the upload or download interrupted?")
    try:
        # The path, not an open file, so that seeking is the demuxer's own; no protocol but plain files may be opened from within.
        container = av.open(str(path), options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS}, metadata_errors="ignore")
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(
            f"{path.name} cannot be read as video, sound or picture ({_reason(error)}). "
            "It may be damaged, cut off before its index, or of another type."
        ) from None
    with container:
        return _read(container, path.name, digest, limits)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).split(";")[0]


def _read(container: Any, name: str, digest: str, limits: Limits) -> Clip:
    # Cover art of a music file is a picture stream, but not a picture of anyone speaking.
    pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    sounds = list(container.streams.audio)
    if not pictures and not sounds:
        raise MediaError(f"{name} holds neither picture nor sound that can be decoded.", code="unsupported_media")
    warnings: list[str] = []
    video = _Video(pictures[0], limits, name) if pictures else None
    audio = _Audio(sounds[0], limits) if sounds else None
    start = min((s.start_time * s.time_base for s in (*pictures[:1], *sounds[:1]) if s.start_time is not None), default=0)
    broken = _drain(container, video, audio, float(start))
    still = video is not None and audio is None and video.count == 1
    if video is not None and not video.frames:
        video = None
        warnings.append("media_truncated: the picture could not be decoded")
    sound = audio.finish() if audio is not None else None
    if video is None and sound is None:
        raise MediaError(f"{name} opened but nothing in it could be decoded{f' ({broken})' if broken else ''}.")
    end = max(video.end_s if video else 0.0, len(sound) / AUDIO_HZ if sound is not None else 0.0)
    declared = float(container.duration / av.time_base) if container.duration else 0.0
    over = declared > limits.seconds + 0.5
    if over:
        warnings.append(f"media_shortened: only the first {limits.seconds:.0f} s of {declared:.0f} s were read")
    elif not still and (broken or (declared and end < 0.95 * declared - 0.2)):
        said = f"; the file claims {declared:.1f} s" if declared else ""
        warnings.append(f"media_truncated: decoding stopped at {end:.1f} s{said}{f' ({broken})' if broken else ''}")
    if sound is not None and not len(sound):
        sound = None
        warnings.append("audio_empty: the sound stream holds no samples")
    elif audio is not None and audio.repaired:
        warnings.append("audio_repaired: samples that were not numbers were replaced by silence")
    empty = np.zeros((0, 1, 1, 3), np.uint8)
    return Clip(
        name=name,
        kind="image" if still else "video" if video else "audio",
        digest=digest,
        duration_s=0.0 if still else end,
        frames=np.stack(video.frames) if video else empty,
        times_s=np.array(video.times_s if video else [], float),
        audio=sound,
        warnings=tuple(warnings),
    )


def _drain(container: Any, video: _Video | None, audio: _Audio | None, start_s: float) -> str:
    """Feed all packets to the two readers; returns why it stopped early, or an empty string."""
    streams = [r.stream for r in (video, audio) if r is not None]
    broken = ""
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return broken
        except av.error.FFmpegError as error:  # the container itself ends in the middle
            return _reason(error)
        reader = video if video is not None and packet.stream is video.stream else audio
        assert reader is not None
        try:
            for frame in packet.decode():
                reader.take(frame, start_s)
        except av.error.FFmpegError as error:  # one damaged packet does not spoil the rest
            broken = _reason(error)
        if all(r.full for r in (video, audio) if r is not None):
            return broken


class _Video:
    """Keeps frames at an even spacing, halving the rate whenever the budget is full, so that length need not be known before."""

    def __init__(self, stream: Any, limits: Limits, name: str) -> None:
        self.stream = stream
        stream.thread_type = "AUTO"
        self._limits = limits
        self._step_s = 1 / limits.fps
        self._next_s = 0.0
        self._size: tuple[int, int] | None = None
        self.frames: list[NDArray[np.uint8]] = []
        self.times_s: list[float] = []
        self.count = 0
        self.end_s = 0.0
        self.full = False
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > limits.image_pixels:
            raise MediaError(
                f"{name} has {width} x {height} pixels; the limit is {limits.image_pixels // 1_000_000} million. Make it smaller.",
                code="image_too_large",
            )

    def take(self, frame: Any, start_s: float) -> None:
        rate = float(self.stream.average_rate or 25)
        time_s = float(frame.pts * frame.time_base) - start_s if frame.pts is not None else self.count / rate
        self.count += 1
        if time_s > self._limits.seconds:
            self.full = True
            return
        self.end_s = max(self.end_s, time_s + (float(frame.duration * frame.time_base) if frame.duration else 1 / rate))
        if time_s < self._next_s - 1e-3:
            return
        if len(self.frames) == self._limits.frames:
            self.frames, self.times_s = self.frames[::2], self.times_s[::2]
            self._step_s *= 2
            self._next_s = self.times_s[-1] + self._step_s
            if time_s < self._next_s - 1e-3:
                return
        self._next_s = max(self._next_s + self._step_s, time_s)  # on a grid, so that 25 fps thinned to 8 stays 8 on average
        self.frames.append(self._upright(frame))
        self.times_s.append(time_s)

    def _upright(self, frame: Any) -> NDArray[np.uint8]:
        if self._size is None:
            shrink = min(1.0, self._limits.side_px / max(frame.width, frame.height))
            self._size = (max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink)))
        width, height = self._size
        pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        quarter_turns = round((frame.rotation or 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, quarter_turns))


class _Audio:
    """Mixes to mono and resamples as frames arrive; a late start becomes leading silence, so that times agree with the picture."""

    def __init__(self, stream: Any, limits: Limits) -> None:
        self.stream = stream
        self._limits = limits
        self._mix = av.AudioResampler(format="flt", layout="mono")
        self._resample: soxr.ResampleStream | None = None
        self._pieces: list[Floats] = []
        self._samples = 0
        self.repaired = False
        self.full = False

    def take(self, frame: Any, start_s: float) -> None:
        if self._resample is None:
            self._resample = soxr.ResampleStream(frame.sample_rate, AUDIO_HZ, 1, dtype="float32")
            late_s = float(frame.pts * frame.time_base) - start_s if frame.pts is not None else 0.0
            if late_s > 0.01:
                self._keep(np.zeros(round(min(late_s, self._limits.seconds) * AUDIO_HZ), np.float32))
        frame.pts = None  # gaps in the stamps of damaged files make the mixer refuse
        for mixed in self._mix.resample(frame):
            self._push(mixed.to_ndarray()[0])

    def _push(self, samples: Floats, *, last: bool = False) -> None:
        assert self._resample is not None
        if not np.isfinite(samples).all():
            self.repaired = True
            samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        self._keep(self._resample.resample_chunk(np.ascontiguousarray(samples, np.float32), last=last))

    def _keep(self, samples: Floats) -> None:
        room = round(self._limits.seconds * AUDIO_HZ) - self._samples
        if room <= 0:
            self.full = True
            return
        self._pieces.append(samples[:room])
        self._samples += len(self._pieces[-1])

    def finish(self) -> Floats:
        if self._resample is not None:
            self._push(np.zeros(0, np.float32), last=True)
        joined = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        return np.clip(joined, -1, 1)
