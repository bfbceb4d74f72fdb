"""A few small pictures of an item for a report: only of cards that allow it, and only where the data folder is given."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emollm.data.corpus import Corpus, Item
from emollm.errors import DataError, EmollmError, MediaError
from emollm.evaluation.cards import load_card
from emollm.media.decode import Limits, decode_clip

FRAMES, HEIGHT_PX = 3, 96


def may_be_shown(results: Mapping[str, Any]) -> bool:
    """Whether the card of some results allows its media to be seen; a shipped card's word counts before that of a file of results."""
    try:
        return bool(getattr(load_card(str(results["card"]).removesuffix("-captions").removesuffix("-questions")), "show", False))
    except EmollmError:
        return bool((results.get("card_file") or {}).get("show", False))


class Stills:
    """Pictures out of a data folder, read only when they are asked for.

    Args:
        data: Folder with index.jsonl, or one of `emollm synth` with `clips`.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._corpus: Corpus | None = None
        self._items: dict[str, Item] = {}

    def of(self, name: str) -> list[str]:
        """JPEG pictures of an item as data addresses; none where it has no media or they cannot be read."""
        try:
            content = self._read(name)
            return [] if content is None else _frames(content)
        except (DataError, MediaError):
            return []

    def _read(self, name: str) -> bytes | None:
        clip = self._data / "clips" / f"{Path(name).name.split(':', maxsplit=1)[0]}.mp4"
        if clip.is_file():
            return clip.read_bytes()
        if self._corpus is None:
            if not (self._data / "index.jsonl").is_file():
                return None
            self._corpus = Corpus(self._data)
            self._items = {item.id: item for item in self._corpus.items()}
        item = self._items.get(name)
        return self._corpus.read(item) if item is not None and item.path is not None else None


def _frames(content: bytes) -> list[str]:
    with tempfile.TemporaryDirectory() as private:
        path = Path(private) / "clip"
        path.write_bytes(content)
        return [_address(frame) for frame in decode_clip(path, Limits(frames=FRAMES)).frames]


def _address(frame: Any) -> str:
    scale = HEIGHT_PX / frame.shape[0]
    small = cv2.resize(np.asarray(frame), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]))[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(coded).decode()


def stills_of(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], stills: Stills | None) -> list[tuple[str, list[str]]]:
    """(id, pictures) of some rows of a card whose media may be shown."""
    if stills is None or not may_be_shown(results):
        return []
    found = [(str(row["id"]), stills.of(str(row["id"]))) for row in rows]
    return [(name, pictures) for name, pictures in found if pictures]
