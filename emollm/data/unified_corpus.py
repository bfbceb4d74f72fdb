"""A folder of media that unified samples name, as a place to read items from; beside it nothing of the samples is known here.

A corpus that comes as folders of pictures, one a frame, is read as a film of 25 pictures a second.
"""

from __future__ import annotations

import io
from pathlib import Path

import av
import cv2
import numpy as np

from emollm.data.corpus import Item
from emollm.data.schema import UnifiedSample
from emollm.data.unified_mixture import Draw
from emollm.errors import DataError

_PICTURES = {".jpg", ".jpeg", ".png", ".bmp"}
_FPS = 25
_MODALITY = {"video": "video", "image": "face", "audio": "speech"}


class UnifiedCorpus:
    """The media under one root."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"no folder at {folder}; give the folder of the media with --media.")
        self.folder = folder
        self._sounds: dict[str, bool] = {}

    def items(self, draw: Draw) -> tuple[Item, ...]:
        """What must be looked at and listened to for a draw; a sound file beside a video only where the video has none of its own.

        Raises:
            DataError: If a file is missing.
        """
        media = draw.sample.media
        picture, sound = "picture" in draw.inputs, "sound" in draw.inputs
        found = [("video", media.video)] if picture and media.video else [("image", media.image)] if picture and media.image else []
        if sound and media.audio and not (found and media.video and self._sounding(media.video)):
            found.append(("audio", media.audio))
        elif sound and media.video and not found:
            found.append(("video", media.video))
        return tuple(self._item(kind, path, draw.sample) for kind, path in found if path is not None)

    def _item(self, kind: str, path: str, sample: UnifiedSample) -> Item:
        # The size is in the id, so that a file that was exchanged is looked at again.
        whole = self.folder / path
        try:
            size = len(list(whole.iterdir())) if whole.is_dir() else whole.stat().st_size
        except OSError:
            raise DataError(f"sample {sample.id!r} needs {path}, which is not in {self.folder}; give the right --media.") from None
        label = next((t.label for t in sample.tasks if t.type == "emotion"), None)
        return Item(f"{path}@{size}", sample.corpus, _MODALITY[kind], sample.split, label, sample.speaker, path)

    def _sounding(self, path: str) -> bool:
        if path not in self._sounds:
            try:
                with av.open(str(self.folder / path)) as container:
                    self._sounds[path] = bool(container.streams.audio)
            except (OSError, av.FFmpegError):
                self._sounds[path] = False
        return self._sounds[path]

    def read(self, item: Item) -> bytes:
        """The media bytes of an item."""
        path = self.folder / (item.path or "")
        try:
            return _film(path) if path.is_dir() else path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {item.path} in {self.folder}: {error}") from None


def _film(folder: Path) -> bytes:
    """Pictures of a folder, in the order of their names, as a film."""
    pictures = [cv2.imread(str(p)) for p in sorted(folder.iterdir()) if p.suffix.lower() in _PICTURES]
    there = [p for p in pictures if p is not None]
    if not there:
        raise DataError(f"{folder} holds no pictures; a sample's video is a film or a folder of its frames.")
    height, width = (side - side % 2 for side in there[0].shape[:2])
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("mjpeg", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.options = {"qmin": "2", "qmax": "3"}
        for picture in there:
            frame = av.VideoFrame.from_ndarray(cv2.resize(picture, (width, height)).astype(np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()
