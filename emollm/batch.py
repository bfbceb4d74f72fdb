"""Many clips to files: each measured once and written whole, in parallel, resumable, one bad file never stopping the rest."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from emollm.encoders.explain import Explanation
from emollm.errors import EmollmError
from emollm.values import Analysis
from emollm.verdict import judge
from emollm.watch import CloseUp, Keepsakes

# format -> endings of the files it always writes; a clip with a picture also gets a sheet of frames with "png"
_ENDINGS = {"json": (".json",), "csv": (".faces.csv", ".stretches.csv"), "srt": (".srt",), "vtt": (".vtt",), "png": (".png",)}
FORMATS = tuple(_ENDINGS)
_MARKED = ("people", "emotion", "confidence", "face", "voice", "text")  # of an outcome, kept for the next run's summary
Maker = Callable[[], "Measurer"]
Progress = Callable[["Outcome"], None]
Runner = Callable[[Sequence["Job"], Maker, int], Iterator["Outcome"]]
"""Jobs, a maker of encoders and a number of workers to outcomes in any order."""
Explain = Callable[[CloseUp, str], Explanation]
_MEDIA = (
    ".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".gif",
    ".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".aac", ".wma", ".jpg", ".jpeg", ".png", ".webp", ".bmp",
)  # fmt: skip


class Measurer(Protocol):
    """What measures clips: a `Perception`, or one that does more."""

    def look(self, path: Path) -> tuple[Analysis, Keepsakes]:
        """Measure a clip and keep nothing."""
        ...

    def explain(self, close_up: CloseUp, label: str) -> Explanation:
        """Which parts of a face carried a label."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    path: Path
    status: str  # "done", "kept" (measured before), "failed"
    error: str = ""
    seconds: float = 0.0
    people: int = 0
    emotion: str = ""  # of all modalities joined
    confidence: float = 0.0
    face: str = ""  # leading expression of the main character
    voice: str = ""
    text: str = ""

    def row(self) -> dict[str, Any]:
        """For the summary table."""
        return {
            "file": str(self.path), "status": self.status, "seconds": round(self.seconds, 2), "people": self.people,
            "emotion": self.emotion, "confidence": round(self.confidence, 3), "face": self.face, "voice": self.voice,
            "text": self.text, "error": self.error,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be measured."""

    path: Path
    stem: Path  # of the files to be written
    formats: tuple[str, ...]
    key: str  # identity of the encoders


def find_clips(given: Sequence[Path]) -> list[Path]:
    """Files as they are, and all media files under folders, by name.

    Raises:
        EmollmError: Something given does not exist, or a folder holds no media.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _MEDIA and p.is_file())
            if not inside:
                raise EmollmError(f"no videos, sounds or pictures in the folder {path}.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise EmollmError(f"there is no file {path}.")
    return list(dict.fromkeys(found))


def names_for(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for each file's outputs: its stem, with the ending or a number where stems meet."""
    taken: dict[str, Path] = {}
    for path in paths:
        options = [path.stem, path.name.replace(".", "-")]
        name = next((o for o in options if o not in taken), None)
        number = 2
        while name is None:
            name = None if f"{options[1]}-{number}" in taken else f"{options[1]}-{number}"
            number += 1
        taken[name] = path
    return {path: name for name, path in taken.items()}


def analyze_all(
    paths: Sequence[Path],
    out: Path,
    formats: Sequence[str],
    maker: Maker,
    *,
    key: str,
    workers: int = 1,
    progress: Progress | None = None,
    runner: Runner | None = None,
) -> list[Outcome]:
    """Measure files and write them in the formats wanted.

    Args:
        paths: From `find_clips`.
        out: Folder; made if it is not there.
        formats: Of `FORMATS`; "png" is the timeline and, for pictures and videos, the sheet of frames.
        maker: Builds a Perception in each process; must be picklable for several workers.
        key: Identity of the encoders: files measured with others are measured again.
        workers: Processes.
        progress: Called after each file.
        runner: Who has the work done; processes of this machine if None.

    Returns:
        One outcome a file, in the order given; also written to `summary.csv`.
    """
    out.mkdir(parents=True, exist_ok=True)
    jobs = [Job(path, out / name, tuple(formats), key) for path, name in names_for(paths).items()]
    outcomes: dict[Path, Outcome] = {}
    for outcome in (runner or _run)(jobs, maker, workers):
        outcomes[outcome.path] = outcome
        if progress is not None:
            progress(outcome)
    ordered = [outcomes[path] for path in paths]
    from emollm.exports.tables import to_csv

    _write(out / "summary.csv", to_csv([o.row() for o in ordered]))
    return ordered


def _run(jobs: Sequence[Job], maker: Maker, workers: int) -> Iterator[Outcome]:
    if workers <= 1 or len(jobs) < 2:
        yield from map(partial(work_one, maker), jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, calm) as pool:
        yield from pool.imap_unordered(partial(work_one, maker), jobs)


def calm() -> None:
    """One thread a worker: the workers share the cores."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


@cache
def _perception(maker: Maker) -> Measurer:
    return maker()


def work_one(maker: Maker, job: Job) -> Outcome:
    """Measure a file and write its results, unless they are there already; whatever goes wrong is told in the outcome."""
    import time

    path, stem, formats, key = job.path, job.stem, job.formats, job.key
    began = time.perf_counter()
    try:
        before = _measured_before(path, stem, formats, key)
        if before is not None:
            return before
        perception = _perception(maker)
        analysis, kept = perception.look(path)
        _export(analysis, kept, perception.explain, stem, formats, key)
    except EmollmError as error:
        return Outcome(path, "failed", str(error))
    except Exception as error:  # noqa: BLE001  one file's surprise must not cost the others
        return Outcome(path, "failed", f"{type(error).__name__}: {error}")
    return _outcome(path, "done", analysis, time.perf_counter() - began)


def _measured_before(path: Path, stem: Path, formats: tuple[str, ...], key: str) -> Outcome | None:
    """An earlier run measured the same bytes with the same encoders and wrote all formats."""
    from emollm.media.decode import digest_of

    mark = stem.with_name(stem.name + ".done")
    if not mark.is_file():
        return None
    row = json.loads(mark.read_text("utf-8"))
    if row["key"] != key or not set(_MARKED) <= set(row) or row["sha256"] != digest_of(path) or not set(formats) <= set(row["formats"]):
        return None
    if any(not stem.with_name(stem.name + ending).is_file() for f in formats for ending in _ENDINGS[f]):
        return None  # somebody took a result away
    return Outcome(path, "kept", **{k: row[k] for k in _MARKED})


def _outcome(path: Path, status: str, analysis: Analysis, seconds: float) -> Outcome:
    face = analysis.faces[0] if analysis.faces else None
    voice = analysis.voice
    verdict = judge(analysis)
    return Outcome(
        path=path,
        status=status,
        seconds=seconds,
        people=len(analysis.faces),
        emotion=verdict.label if verdict is not None else "",
        confidence=verdict.confidence if verdict is not None else 0.0,
        face=face.labels[int(face.scores.mean(0).argmax())] if face else "",
        voice=voice.labels[int(voice.scores.argmax())] if voice else "",
        text=analysis.words.text if analysis.words else "",
    )


def _export(analysis: Analysis, kept: Keepsakes, explain: Explain, stem: Path, formats: tuple[str, ...], key: str) -> None:
    from emollm.exports import figure, sheet, subtitles, tables, why

    def name(ending: str) -> Path:
        return stem.with_name(stem.name + ending)

    if "json" in formats:
        _write(name(".json"), json.dumps(tables.to_plain(analysis), ensure_ascii=False) + "\n")
    if "csv" in formats:
        _write(name(".faces.csv"), tables.to_csv(tables.face_rows(analysis), header=tables.FACE_HEADER))
        _write(name(".stretches.csv"), tables.to_csv(tables.stretch_rows(analysis), header=tables.STRETCH_HEADER))
    if "srt" in formats:
        _write(name(".srt"), subtitles.to_srt(analysis))
    if "vtt" in formats:
        _write(name(".vtt"), subtitles.to_vtt(analysis))
    if "png" in formats:
        figure.draw_timeline(analysis, name(".png"))
        sheet.contact_sheet(kept.glimpses, analysis, name(".frames.png"))
        verdict = judge(analysis)
        if verdict is not None:
            why.draw_why(analysis, verdict, kept.close_ups, explain, name(".why.png"))
    done = _outcome(stem, "done", analysis, 0.0)
    mark = {"key": key, "sha256": analysis.digest, "formats": formats, **{k: getattr(done, k) for k in _MARKED}}
    _write(name(".done"), json.dumps(mark, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, "utf-8")
    part.replace(path)
