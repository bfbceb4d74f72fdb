"""A file of any kind to upright frames with presentation times, and 16 kHz mono sound.

Content decides what a file is, not its name. A `Reel` reads the sound and the length in a first pass and gives the frames one at a time
in a second, so that memory does not grow with the picture's length and the sound can be worked on meanwhile. What lies beyond
`Limits.seconds` is left out with a warning.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import av
import cv2
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
_FULL_RANGE = 2  # libav's number for pictures that use all of 0 to 255, as stills do


@dataclass(frozen=True, slots=True)
class Limits:
    """What is looked at in a clip."""

    seconds: float = 600.0
    frames: int | None = 96  # most frames, spread over the whole clip; None for as many as `fps` gives
    fps: float = 8.0
    side_px: int = 960
    image_pixels: int = 50_000_000
    longer: Literal["shorten", "refuse"] = "shorten"  # what is done with a clip that claims more seconds than these


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


def decode_clip(path: Path, limits: Limits = DEFAULT_LIMITS, opened: Opener | None = None) -> Clip:
    """Read a whole clip into memory.

    Args:
        path: The file.
        limits: What is looked at.
        opened: What opens it; `Reel` if None.

    Raises:
        MediaError: `not_found`, `media_unreadable`, `unsupported_media`, `image_too_large`; `media_too_long` where it is to be refused.
    """
    reel = (opened or Reel)(path, limits)
    shots = list(reel.frames())
    empty = np.zeros((0, 1, 1, 3), np.uint8)
    return Clip(
        name=reel.name,
        kind=reel.kind,
        digest=reel.digest,
        duration_s=reel.duration_s,
        frames=np.stack([image for _, image in shots]) if shots else empty,
        times_s=np.array([time_s for time_s, _ in shots], float),
        audio=reel.audio,
        warnings=reel.warnings,
    )


class Film(Protocol):
    """What is known of an opened file, and its frames: a `Reel`, or one that is decoded in another process."""

    name: str
    digest: str
    audio: Floats | None

    @property
    def kind(self) -> Literal["video", "audio", "image"]:
        """By content; certain after the last frame."""
        ...

    @property
    def duration_s(self) -> float:
        """Of what was decoded; 0 for a still."""
        ...

    @property
    def expected(self) -> int:
        """About how many frames there will be."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Complete after the last frame."""
        ...

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Times and pictures."""
        ...


Opener = Callable[[Path, Limits], Film]
"""Opens a file to be looked at within limits; raises MediaError."""


class Reel:
    """One file: its sound at once, its frames while they are asked for. What it is and how long is certain after the last frame.

    Raises:
        MediaError: `not_found`, `media_unreadable`, `unsupported_media` or `image_too_large`.
    """

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        self.digest = digest_of(path)
        self.name = path.name
        self._path, self._limits = path, limits
        if path.stat().st_size == 0:
            raise MediaError(f"{self.name} is empty (0 bytes). Was the upload or download interrupted?")
        self._broken = ""
        self._notes: list[str] = []
        self._kept = 0
        self._end_s = 0.0  # of the decoded picture
        with self._open() as container:
            # Cover art of a music file is a picture stream, but not a picture of anyone speaking.
            pictures, sounds = _pictures(container), list(container.streams.audio)
            if not pictures and not sounds:
                raise MediaError(f"{self.name} holds neither picture nor sound that can be decoded.", code="unsupported_media")
            self._start_s = float(
                min((s.start_time * s.time_base for s in (*pictures[:1], *sounds[:1]) if s.start_time is not None), default=0)
            )
            self._declared_s = float(container.duration / av.time_base) if container.duration else 0.0
            if pictures:
                self._refuse_huge(pictures[0])
            self._refuse_long()
            self._listen(container, pictures[0] if pictures else None, sounds[0] if sounds else None)

    @property
    def picture(self) -> bool:
        """Whether there are frames to ask for."""
        return self._packets > 0

    @property
    def still(self) -> bool:
        """A single picture without sound."""
        return self._packets == 1 and not self._sound

    @property
    def kind(self) -> Literal["video", "audio", "image"]:
        """By content; certain after the last frame."""
        return "image" if self.still and self._kept else "video" if self._kept else "audio"

    @property
    def duration_s(self) -> float:
        """Of what was decoded; 0 for a still."""
        if self.still:
            return 0.0
        return max(self._end_s, len(self.audio) / AUDIO_HZ if self.audio is not None else 0.0)

    @property
    def expected(self) -> int:
        """About how many frames there will be."""
        return max(1, round(self._length_s / self._step_s)) if self.picture else 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong without spoiling the rest; complete after the last frame."""
        found = list(self._notes)
        end, said = self.duration_s, self._declared_s
        if said > self._limits.seconds + 0.5:
            found.append(f"media_shortened: only the first {self._limits.seconds:.0f} s of {said:.0f} s were read")
        elif not self.still and (self._broken or (said and end < 0.95 * said - 0.2)):
            claim = f"; the file claims {said:.1f} s" if said else ""
            found.append(f"media_truncated: decoding stopped at {end:.1f} s{claim}{f' ({self._broken})' if self._broken else ''}")
        return tuple(found)

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Presentation time and upright picture [H, W, 3] of every frame that is kept, evenly spaced.

        Raises:
            MediaError: Nothing in the file could be decoded.
        """
        if self.picture:
            with self._open() as container:
                yield from self._watch(container, _pictures(container)[0])
            if not self._kept:
                self._notes.append("media_truncated: the picture could not be decoded")
        if not self._kept and not self._heard:
            raise MediaError(f"{self.name} opened but nothing in it could be decoded{f' ({self._broken})' if self._broken else ''}.")

    def _open(self) -> Any:
        try:
            # The path, not an open file, so that seeking is the demuxer's own; no protocol but plain files may be opened from within.
            options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
            return av.open(str(self._path), options=options, metadata_errors="ignore")
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self.name} cannot be read as video, sound or picture ({_reason(error)}). "
                "It may be damaged, cut off before its index, or of another type."
            ) from None

    def _refuse_huge(self, stream: Any) -> None:
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > self._limits.image_pixels:
            raise MediaError(
                f"{self.name} has {width} x {height} pixels; "
                f"the limit is {self._limits.image_pixels // 1_000_000} million. Make it smaller.",
                code="image_too_large",
            )

    def _refuse_long(self) -> None:
        if self._limits.longer == "refuse" and self._declared_s > self._limits.seconds + 0.5:
            raise MediaError(
                f"{self.name} is {self._declared_s:.0f} s long; the limit is {self._limits.seconds:.0f} s. Send a part of it.",
                code="media_too_long",
            )

    def _listen(self, container: Any, picture: Any, sound: Any) -> None:
        """First pass: decode the sound; of the picture count the packets and find the last time stamp."""
        self._packets, last_s = 0, 0.0
        reader = _Audio(sound, self._limits, self._declared_s) if sound is not None else None
        packets = container.demux(*(s for s in (picture, sound) if s is not None))
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.error.FFmpegError as error:  # the container itself ends in the middle
                self._broken = _reason(error)
                break
            if packet.stream is picture:
                self._packets += bool(packet.size)
                last_s = max(last_s, self._end_of(packet))
                if last_s > self._limits.seconds + 2 and (reader is None or reader.full):
                    break
            elif reader is not None:
                try:
                    for frame in packet.decode():
                        reader.take(frame, self._start_s)
                except av.error.FFmpegError as error:  # one damaged packet does not spoil the rest
                    self._broken = _reason(error)
                if reader.full and picture is None:
                    break
        if not last_s and picture is not None:  # no time stamps at all
            last_s = self._packets / float(picture.average_rate or 25)
        self._length_s = min(last_s, self._limits.seconds)
        most = self._limits.frames
        self._step_s = max(1 / self._limits.fps, self._length_s / max(most - 1, 0.5) if most else 0.0)
        self._sound = sound is not None
        self._heard = False
        self.audio: Floats | None = None
        if reader is not None:
            self._keep_sound(reader)

    def _end_of(self, packet: Any) -> float:
        if packet.pts is None:
            return 0.0
        return float((packet.pts + (packet.duration or 0)) * packet.time_base) - self._start_s

    def _keep_sound(self, reader: _Audio) -> None:
        samples = reader.finish()
        self._heard = bool(len(samples)) or not self._broken
        self.audio = samples if len(samples) else None
        if self.audio is None:
            self._notes.append("audio_empty: the sound stream holds no samples")
        elif reader.repaired:
            self._notes.append("audio_repaired: samples that were not numbers were replaced by silence")

    def _watch(self, container: Any, stream: Any) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Second pass: the picture alone."""
        stream.thread_type = "AUTO"
        if stream.average_rate and float(stream.average_rate) * self._step_s >= 2:
            stream.codec_context.skip_frame = "NONREF"  # frames that no other needs are not even decoded: there are plenty
        rate = float(stream.average_rate or 25)
        turner = _Turner(self._limits.side_px)
        count, next_s = 0, 0.0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self._broken = _reason(error)
                return
            try:
                decoded = packet.decode()
            except av.error.FFmpegError as error:
                self._broken = _reason(error)
                continue
            for frame in decoded:
                time_s = float(frame.pts * frame.time_base) - self._start_s if frame.pts is not None else count / rate
                count += 1
                if time_s > self._limits.seconds:
                    return
                self._end_s = max(self._end_s, time_s + (float(frame.duration * frame.time_base) if frame.duration else 1 / rate))
                if time_s < next_s - 1e-3 or (self._limits.frames and self._kept >= self._limits.frames):
                    continue
                next_s = max(next_s + self._step_s, time_s)  # on a grid, so that 25 fps thinned to 8 stays 8 on average
                self._kept += 1
                yield time_s, turner(frame)


def _pictures(container: Any) -> list[Any]:
    return [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).split(";")[0]


class _Turner:
    """Decoded frames to upright pictures, shrunk to the limit."""

    def __init__(self, side_px: int) -> None:
        self._side_px = side_px
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        if self._size is None:
            shrink = min(1.0, self._side_px / max(frame.width, frame.height))
            self._size = (max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink)))
        width, height = self._size
        usual = frame.format.name == "yuv420p" and frame.color_range != _FULL_RANGE
        if usual and not (frame.width % 2 or frame.height % 2) and 2 * width >= frame.width:  # three times as fast as the general way
            pixels = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420)
            if (width, height) != (frame.width, frame.height):
                pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        else:
            pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        quarter_turns = round((frame.rotation or 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, quarter_turns))


class _Audio:
    """Mixes to mono and resamples as frames arrive; a late start becomes leading silence, so that times agree with the picture."""

    def __init__(self, stream: Any, limits: Limits, declared_s: float) -> None:
        self.stream = stream
        self._limits = limits
        self._mix = av.AudioResampler(format="flt", layout="mono")
        self._resample: soxr.ResampleStream | None = None
        # One block that grows in place: joining pieces would need twice the memory.
        self._samples = np.empty(round((min(max(declared_s, 1.0), limits.seconds, 3600.0) + 1) * AUDIO_HZ), np.float32)
        self._count = 0
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
        room = round(self._limits.seconds * AUDIO_HZ) - self._count
        if room <= 0:
            self.full = True
            return
        samples = samples[:room]
        end = self._count + len(samples)
        if end > len(self._samples):
            self._samples.resize(max(end, round(1.2 * len(self._samples))), refcheck=False)
        np.clip(samples, -1, 1, out=self._samples[self._count : end])
        self._count = end

    def finish(self) -> Floats:
        if self._resample is not None:
            self._push(np.zeros(0, np.float32), last=True)
        return self._samples[: self._count]
