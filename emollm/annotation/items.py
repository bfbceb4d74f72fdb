"""What is to be annotated: samples of a unified JSONL file, or the clips of a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emollm.annotation.prompts import label_of
from emollm.batch import find_clips, names_for
from emollm.data.schema import SPLITS, parse_sample
from emollm.errors import DataError, unknown_name

_SOUNDS = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".aac", ".wma")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
SHOWN = 5  # samples named in a message


@dataclass(frozen=True, slots=True)
class Item:
    """One clip on its way through the chain."""

    id: str
    path: Path | None  # its video, else its sound, else its picture; None where the sample has no media
    row: dict[str, Any]  # the sample as it will be written, less what the agents add
    split: str
    label: str = ""  # its emotion, of `verdict.EMOTIONS`; empty where it has none of them
    transcript: str = ""
    language: str = ""


def items_of(given: Path, *, media: Path | None = None, split: str | None = None, licence: str = "") -> list[Item]:
    """Read the input.

    Args:
        given: A unified JSONL file or a folder of clips.
        media: Where the media of the samples lie; for a JSONL file, the folder it is in by default.
        split: What the clips of a folder are for; a file says so itself.
        licence: Terms of the clips of a folder.

    Raises:
        DataError: Naming the line, or what must be given.
    """
    if given.is_dir():
        return _of_folder(given, split, licence)
    if split is not None or licence:
        raise DataError("--split and --licence are for a folder of clips; the samples of a file say both themselves.")
    return _of_file(given, media or given.parent)


def _of_file(path: Path, root: Path) -> list[Item]:
    found: list[Item] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}. Give a unified JSONL file or a folder of clips.") from None
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        try:
            sample = parse_sample(line)
        except DataError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
        if sample.id in seen:
            raise DataError(f"{path}, line {number}: id {sample.id!r} is there already, in line {seen[sample.id]}.")
        seen[sample.id] = number
        media = sample.media.video or sample.media.audio or sample.media.image
        labels = [label_of(task.label) for task in sample.tasks if task.type == "emotion" and task.label]
        found.append(
            Item(
                sample.id, root / media if media else None, json.loads(sample.line()), sample.split, labels[0] if labels else "",
                sample.transcript or "", sample.language or "",
            )
        )  # fmt: skip
    return found


def _of_folder(folder: Path, split: str | None, licence: str) -> list[Item]:
    if split is None or not licence:
        raise DataError(f"{folder} holds clips without samples; say what they are for with --split and their terms with --licence.")
    if split not in SPLITS:
        raise DataError(unknown_name("split", split, SPLITS))
    found = []
    clips = find_clips([folder])
    for path, name in names_for(clips).items():
        ending = path.suffix.lower()
        kind = "audio" if ending in _SOUNDS else "image" if ending in _PICTURES else "video"
        corpus = folder.resolve().name
        row: dict[str, Any] = {
            "schema_version": 1, "id": f"{corpus}/{name}", "corpus": corpus, "split": split,
            "media": {kind: path.relative_to(folder).as_posix()}, "tasks": [{"type": "describe"}], "level": "understanding",
            "licence": licence,
        }  # fmt: skip
        found.append(Item(row["id"], path, row, split))
    return found


def refuse_test(items: Sequence[Item]) -> None:
    """Guided mode tells the agents the answer, so it is refused where that answer is what systems are measured against.

    Raises:
        DataError: Naming samples of a test split, or samples whose label the agents do not know.
    """
    tests = [item.id for item in items if item.split == "test"]
    if tests:
        raise DataError(
            f"--guided tells the agents the label, and {len(tests)} sample(s) are of the split 'test': {_some(tests)}. A description made "
            "from a reference must not become one. Leave them out, or annotate them without --guided."
        )
    bare = [item.id for item in items if not item.label]
    if bare:
        raise DataError(
            f"--guided needs an emotion label the agents know, and {len(bare)} sample(s) have none: {_some(bare)}. "
            "Leave them out, or annotate them without --guided."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
