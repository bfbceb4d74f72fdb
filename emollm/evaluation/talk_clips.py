"""The sample clips and what is left of them: without sound, the sound alone, one still; and a clip that shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from emollm import catalog
from emollm.errors import DataError, unknown_name

STILL_AT_S = {"joy": 6.0, "sad": 5.0}  # both show what they are about by then
FPS, NOTHING_S = 25, 3


def clip_of(name: str, folder: Path) -> Path:
    """A clip of the test dialogues, made in `folder` where it is not a whole sample.

    Args:
        name: "joy" or "sad", each also with "-silent", "-sound" or "-still", or "nothing".
        folder: Gets what has to be made; what is there is taken.

    Raises:
        DataError: Unknown name.
    """
    if name == "nothing":
        return _once(folder / "nothing.mp4", _grey)
    which, _, part = name.partition("-")
    makers: dict[str, tuple[str, Callable[[Path, Path], None]]] = {"silent": ("mp4", _silent), "sound": ("wav", _sound)}
    if which not in STILL_AT_S or part not in {"", "still", *makers}:
        raise DataError(unknown_name("clip", name, [*STILL_AT_S, "joy-silent", "joy-sound", "joy-still", "nothing"]))
    whole = catalog.folder("instruct_data") / "samples" / f"sample_{which}.mp4"
    if not part:
        return whole
    if part == "still":
        return _once(folder / f"{name}.png", lambda path: _still(whole, path, STILL_AT_S[which]))
    ending, make = makers[part]
    return _once(folder / f"{name}.{ending}", lambda path: make(whole, path))


def _once(path: Path, make: Callable[[Path], None]) -> Path:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    return path


def _silent(whole: Path, path: Path) -> None:
    import av

    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)


def _sound(whole: Path, path: Path) -> None:
    import av

    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        resampler = av.AudioResampler("s16", "mono", 16000)
        for frame in source.decode(audio=0):
            for part in resampler.resample(frame):
                out.mux(stream.encode(part))
        out.mux(stream.encode(None))


def _still(whole: Path, path: Path, when_s: float) -> None:
    import av

    with av.open(str(whole)) as source:
        frame = next(f for f in source.decode(video=0) if f.time is not None and f.time >= when_s)
        frame.to_image().save(path)


def _grey(path: Path) -> None:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=FPS)
        stream.width = stream.height = 224
        stream.pix_fmt = "yuv420p"
        for number in range(FPS * NOTHING_S):
            frame = av.VideoFrame.from_ndarray(np.full((224, 224, 3), 120, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
