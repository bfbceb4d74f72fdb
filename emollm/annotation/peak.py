"""A moment of a video as the number of its frame in the file, counted without decoding."""

from __future__ import annotations

from pathlib import Path

import av

from emollm.errors import MediaError


def frame_at(path: Path, time_s: float) -> int:
    """The frame that is shown at a time, from 0 in the order of showing.

    Args:
        path: A video; frame rates may vary.
        time_s: From the first frame.

    Raises:
        MediaError: If the file has no picture or cannot be read.
    """
    try:
        with av.open(str(path)) as container:
            stream = next((s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic), None)
            if stream is None or stream.time_base is None:
                raise MediaError(f"{path} has no picture, so it has no peak frame.")
            shown = sorted(float(p.pts * stream.time_base) for p in container.demux(stream) if p.pts is not None)
    except av.error.FFmpegError as error:
        raise MediaError(f"cannot count the frames of {path}: {error}.") from None
    if not shown:
        return 0
    # half a millisecond, as times were rounded on their way here
    return max(0, sum(t - shown[0] <= time_s + 5e-4 for t in shown) - 1)
