"""The open corpus, part by part: every part is written whole or not at all, so that a stopped build goes on with --resume."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from emollm import catalog
from emollm.data.check import Checker
from emollm.data.corpus import Corpus, Item
from emollm.data.open_corpus import duplicates, parts
from emollm.data.schema import UnifiedSample
from emollm.data.truth_check import Grammar
from emollm.errors import DataError

VERSION = 1  # of the texts; parts of another version are made anew
Say = Callable[[str, int, int], None]  # what, done, of


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did."""

    samples: Mapping[str, int]  # split -> count
    dropped: Mapping[str, int]
    refused: Mapping[str, int]
    checked: int
    clips: int


@dataclass(slots=True)
class _Notes:
    """What is kept beside a part."""

    dropped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    clips: int = 0


def build(
    data: Path,
    synth: Sequence[Path],
    out: Path,
    grammar: Grammar,
    *,
    seed: int = 0,
    workers: int = 1,
    resume: bool = False,
    say: Say | None = None,
) -> Built:
    """Build the corpus into a folder: train.jsonl, val.jsonl and the media in media/.

    Args:
        data: Folder with index.jsonl.
        synth: Folders of `emollm synth`.
        out: Gets the files; only replaced when everything is there.
        grammar: Reads movements, for the check of texts about clips.
        seed: Of wordings and pairs.
        workers: Processes.
        resume: Keep the parts that a stopped build with the same options left.
        say: Progress.

    Raises:
        DataError: A folder is not as it should be, or what was built has faults.
    """
    tell = say or (lambda what, done, of: None)
    corpus = Corpus(data)
    folders = synth_folders(synth)
    work = out / "parts"
    _claim(work, _stamp(data, folders, seed), resume)
    _link(out / "media", folders)
    items, context, dropped = duplicates.without(corpus.items(), corpus.read, lambda done, of: tell("looking for duplicates", done, of))
    _unpack(out / "media", [i for i in items if i.path and i.modality in ("face", "speech")], corpus, tell)
    source = parts.Source(items, licences(data), seed, context)
    notes = _Notes(dropped=dropped)
    for number, (name, make) in enumerate(parts.PARTS.items()):
        tell("samples of " + name, number, len(parts.PARTS))
        _write_part(work / f"{name}.jsonl", partial(_labelled, make, source))
    tell("samples of labelled data", len(parts.PARTS), len(parts.PARTS))
    if folders:
        path = work / "clips.jsonl"
        found = _write_part(path, lambda: _clips(folders, grammar, seed, workers, tell))
        notes.dropped += found.dropped
        notes.refused, notes.checked, notes.clips = found.refused, found.checked, found.clips
    counts = _join(work, out)
    _check(out)
    shutil.rmtree(work)
    return Built(counts, dict(notes.dropped), dict(notes.refused), notes.checked, notes.clips)


def _labelled(make: Callable[[parts.Source], Iterator[UnifiedSample]], source: parts.Source) -> tuple[Iterator[UnifiedSample], _Notes]:
    return make(source), _Notes()


def synth_folders(synth: Sequence[Path]) -> dict[str, Path]:
    """Name below the media folder -> folder of clips.

    Raises:
        DataError: A folder holds no truth, or is a frozen benchmark's val split, which is measured on.
    """
    found: dict[str, Path] = {}
    frozen = tomllib.loads((catalog.folder("instruct_data") / "synth" / "benchmarks.toml").read_text("utf-8"))
    for folder in synth:
        if not (folder / "truth.jsonl").is_file():
            raise DataError(
                f"no truth.jsonl in {folder}. Give a folder that `emollm synth` finished, or run it again with the same options."
            )
        for path in folder.glob("settings-val.json"):
            settings = json.loads(path.read_text("utf-8"))
            for name, row in frozen.items():
                if all(settings.get(k) == row[k] for k in ("seed", "people", "persons", "seconds", "fps", "size", "voices")):
                    raise DataError(
                        f"{folder} is the val split of the frozen benchmark {name}, which is measured on. Render with another --seed."
                    )
        name, number = folder.resolve().name, 2
        while name in found or name == "data":
            name, number = f"{folder.resolve().name}-{number}", number + 1
        found[name] = folder
    return found


def licences(data: Path) -> dict[str, str]:
    """Corpus -> its terms, as the index says."""
    found: dict[str, str] = {}
    with (data / "index.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("licence"):
                found.setdefault(row["source"], row["licence"])
    return found


def _stamp(data: Path, folders: Mapping[str, Path], seed: int) -> dict[str, Any]:
    index = (data / "index.jsonl").stat()
    clips = {name: [str(folder.resolve()), (folder / "truth.jsonl").stat().st_mtime] for name, folder in folders.items()}
    return {"version": VERSION, "data": [str(data.resolve()), index.st_size, index.st_mtime], "synth": clips, "seed": seed}


def _claim(work: Path, stamp: Mapping[str, Any], resume: bool) -> None:
    path = work / "stamp.json"
    if work.is_dir() and not (resume and path.is_file() and json.loads(path.read_text("utf-8")) == stamp):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")


def _link(media: Path, folders: Mapping[str, Path]) -> None:
    media.mkdir(exist_ok=True)
    for name, folder in folders.items():
        link = media / name
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to(folder.resolve(), target_is_directory=True)


def _unpack(media: Path, items: Sequence[Item], corpus: Corpus, tell: Say) -> None:
    """Faces and voices as files of their own, for nothing that reads unified samples knows of shards; files that are there are kept."""
    for done, item in enumerate(items, 1):
        path = media / parts.media(item)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(corpus.read(item))
            part.replace(path)
        if done % 500 == 0 or done == len(items):
            tell("unpacking media", done, len(items))


def _write_part(path: Path, make: Callable[[], tuple[Iterator[UnifiedSample], _Notes]]) -> _Notes:
    beside = path.with_suffix(".json")
    if path.is_file() and beside.is_file():
        row = json.loads(beside.read_text("utf-8"))
        return _Notes(Counter(row["dropped"]), Counter(row["refused"]), row["checked"], row["clips"])
    samples, notes = make()
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(sample.line() + "\n")
    row = {"dropped": notes.dropped, "refused": notes.refused, "checked": notes.checked, "clips": notes.clips}
    beside.write_text(json.dumps(row) + "\n", "utf-8")
    part.replace(path)
    return notes


def _clips(folders: Mapping[str, Path], grammar: Grammar, seed: int, workers: int, tell: Say) -> tuple[Iterator[UnifiedSample], _Notes]:
    notes = _Notes()
    jobs = parts.clip_jobs(folders, grammar, seed, notes.dropped)

    def samples() -> Iterator[UnifiedSample]:
        for done, told in enumerate(parts.told(jobs, workers), 1):
            notes.refused += told.refused
            notes.checked += told.checked
            notes.clips += 1
            yield from told.samples
            tell("clips told and checked", done, len(jobs))

    return samples(), notes


def _join(work: Path, out: Path) -> dict[str, int]:
    """All parts into one file a split."""
    counts: Counter[str] = Counter()
    written = {split: (out / f"{split}.jsonl.part").open("w", encoding="utf-8") for split in ("train", "val")}
    try:
        for path in sorted(work.glob("*.jsonl")):
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    split = json.loads(line)["split"]
                    written[split].write(line)
                    counts[split] += 1
    finally:
        for file in written.values():
            file.close()
    for split in written:
        (out / f"{split}.jsonl.part").replace(out / f"{split}.jsonl")
    return dict(counts)


def _check(out: Path) -> None:
    checker = Checker()
    found = [str(fault) for fault in checker.faults([out / "train.jsonl", out / "val.jsonl"])]
    if found:
        raise DataError(f"{len(found)} fault(s) in what was built, such as: {'; '.join(found[:3])}. Please report this.")
