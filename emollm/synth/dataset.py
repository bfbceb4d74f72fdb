"""Many clips into a folder: in parallel, each written whole or not at all, so that a stopped run goes on where it was."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm.errors import DataError
from emollm.running import runs
from emollm.synth import captions
from emollm.synth.clip import Script, Settings, film, sound_of, truth_of, write_script
from emollm.synth.render import Picture
from emollm.values import AUDIO_HZ, Floats

Progress = Callable[[int, int], None]


def make(out: Path, settings: Settings, clips: int, *, workers: int = 1, progress: Progress | None = None) -> Path:
    """Render a data set.

    Args:
        out: Gets `clips/NAME.mp4`, `truth/NAME.json.gz` and `truth.jsonl`, one line a clip without its per-frame rows.
        settings: Of all clips.
        clips: How many; clips that are there already are kept.
        workers: Processes.
        progress: Called with clips done and clips wanted.

    Returns:
        The path of truth.jsonl.

    Raises:
        DataError: The folder holds clips of other settings.
    """
    for name in ("clips", "truth"):
        (out / name).mkdir(parents=True, exist_ok=True)
    _claim(out, settings)
    _sweep(out)
    numbers = [n for n in range(clips) if not _there(out, settings, n)]
    done = clips - len(numbers)
    if progress is not None:
        progress(done, clips)
    for _ in _results(out, settings, numbers, workers):
        done += 1
        if progress is not None:
            progress(done, clips)
    return _gather(out)


def _claim(out: Path, settings: Settings) -> None:
    """One folder holds one data set; more clips of it may be added, others not."""
    path = out / f"settings-{settings.split}.json"
    wanted = json.loads(json.dumps(asdict(settings)))
    if path.is_file():
        found = json.loads(path.read_text("utf-8"))
        other = [f"{k} {found.get(k)!r}, not {v!r}" for k, v in wanted.items() if found.get(k) != v]
        if other:
            raise DataError(f"{out} holds clips made with {'; '.join(other)}. Give another folder, or the same options to go on.")
    path.write_text(json.dumps(wanted, indent=1) + "\n", "utf-8")


def _sweep(out: Path) -> None:
    """Remove unfinished files of processes that are gone."""
    for folder in (out / "clips", out / "truth"):
        for part in folder.glob(".*-*.*"):
            process = next((p for p in part.name.split(".")[2:] if p.isdigit()), None)
            if process is not None and not runs(int(process)):
                part.unlink(missing_ok=True)


def _name(settings: Settings, number: int) -> str:
    return f"{settings.split}-{number:06d}"


def _there(out: Path, settings: Settings, number: int) -> bool:
    return (out / "truth" / f"{_name(settings, number)}.json.gz").is_file()  # written last


def _results(out: Path, settings: Settings, numbers: list[int], workers: int) -> Iterator[int]:
    jobs = [(out, settings, n) for n in numbers]
    if workers <= 1 or len(jobs) < 2:
        yield from map(_one, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _calm) as pool:
        yield from pool.imap_unordered(_one, jobs, chunksize=1)


def _calm() -> None:
    """One thread a worker: the workers share the cores."""
    import cv2

    cv2.setNumThreads(1)


def _one(job: tuple[Path, Settings, int]) -> int:
    out, settings, number = job
    script = write_script(settings, number)
    placed: list[Picture] = []
    nothing = np.zeros((1, 1), np.float32)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for image, picture in film(script):
            placed.append(replace(picture, image=nothing))
            yield image

    part = out / "clips" / f".{script.name}.{os.getpid()}.mp4"
    write_video(part, frames(), settings.fps, sound_of(script))
    part.replace(out / "clips" / f"{script.name}.mp4")
    truth = truth_of(script, placed)
    truth["captions"] = _captions(script, truth)
    truth["questions"] = [asdict(e) for e in captions.about_everyone(truth["people"], script.seconds)]
    packed = out / "truth" / f".{script.name}.{os.getpid()}"
    # No time and no name inside, so that the same clip is the same bytes in every process.
    with packed.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        file.write(json.dumps(truth, separators=(",", ":")).encode())
    packed.replace(out / "truth" / f"{script.name}.json.gz")
    return number


def _captions(script: Script, truth: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for person in truth["people"]:
        rng = random.Random(f"{script.name}/{person['person']}/{script.settings.seed}")
        found.append(
            {
                "facs": captions.facs(captions.events_of(person)),
                "plain": captions.plain(person, script.seconds, rng),
                "fda": captions.fda(person, script.seconds, rng),
                "questions": [asdict(e) for e in captions.exchanges(person, script.seconds, rng)],
            }
        )
    return found


_PER_FRAME = ("units", "head", "gaze", "boxes", "eyes", "landmarks", "visible", "identity")


def _gather(out: Path) -> Path:
    path = out / "truth.jsonl"
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        for truth in sorted((out / "truth").glob("*.json.gz")):
            row = read_truth(truth)
            row["path"] = f"clips/{row['name']}.mp4"
            row["people"] = [{k: v for k, v in p.items() if k not in _PER_FRAME} for p in row["people"]]
            del row["unit_names"]
            file.write(json.dumps(row) + "\n")
    part.replace(path)
    return path


def read_truth(path: Path) -> dict[str, Any]:
    """The truth file of one clip."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return dict(json.load(file))


# No presets above this one: the encoder's look ahead, compiled for the widest vectors, gives other bytes for the same frames now and then.
_X264 = {"crf": "20", "preset": "superfast"}


def write_video(path: Path, frames: Iterator[NDArray[np.uint8]], fps: float, sound: Floats | None) -> None:
    """Frames [H, W, 3] and a sound at AUDIO_HZ to an MP4; one thread, so that the same frames give the same bytes."""
    from fractions import Fraction

    import av

    first = next(frames)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as file:
        video = file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=_X264)
        video.height, video.width, video.pix_fmt = first.shape[0], first.shape[1], "yuv420p"
        video.codec_context.thread_count = 1
        audio = file.add_stream("aac", rate=AUDIO_HZ, layout="mono") if sound is not None else None
        for image in _chain(first, frames):
            for packet in video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                file.mux(packet)
        for packet in video.encode(None):
            file.mux(packet)
        if audio is not None and sound is not None:
            for at in range(0, len(sound), 1024):
                block = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(sound[None, at : at + 1024], np.float32), format="fltp", layout="mono"
                )
                block.sample_rate, block.pts = AUDIO_HZ, at
                for packet in audio.encode(block):
                    file.mux(packet)
            for packet in audio.encode(None):
                file.mux(packet)


def _chain(first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    yield first
    yield from rest


def contact_sheet(out: Path, *, most: int = 48, columns: int = 8) -> Path:
    """A picture of one frame from the middle of each clip."""
    import cv2

    from emollm.media.decode import Limits, decode_clip

    tiles = []
    for path in sorted((out / "clips").glob("[!.]*.mp4"))[:most]:
        frames = decode_clip(path, Limits(frames=9)).frames
        tiles.append(cv2.resize(frames[len(frames) // 2], (160, 160), interpolation=cv2.INTER_AREA))
    if not tiles:
        raise DataError(f"no clips in {out}.")
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    sheet = np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])
    path = out / "preview.png"
    cv2.imwrite(str(path), sheet[..., ::-1])
    return path
