"""The same clip with a modality taken away."""

import av


def _copy(source, target, kind):
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = next(s for s in old.streams if s.type == kind)
        out = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.stream = out
                new.mux(packet)
    return target


def picture_only(source, folder):
    """Without its sound."""
    return _copy(source, folder / "picture_only.mp4", "video")


def sound_only(source, folder):
    """Without its picture."""
    return _copy(source, folder / "sound_only.mp4", "audio")
