"""`emollm bench`: time and memory of one question about one clip, stage by stage."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from emollm.commands.bench_report import Report, machine, read
from emollm.commands.loading import Engine
from emollm.errors import EmollmError

QUESTIONS = ("How does this person feel, and how can you tell?", "What could I say to them?")


def bench(
    clip: Annotated[Path | None, typer.Argument(help="A clip; without one, a 10 s 1280 x 720 video is made from the sample.")] = None,
    *,
    system: Annotated[str, typer.Option(help="Recipe name, or a path to a .toml.")] = "emollm",
    scale: Annotated[str, typer.Option(help="toy or mini.")] = "mini",
    runs: Annotated[int, typer.Option(min=1, help="Fresh processes; medians are reported.")] = 3,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    measuring: Annotated[bool, typer.Option("--measure", help="The measuring layer alone, as `emollm analyze` runs it.")] = False,
    decoding: Annotated[bool, typer.Option("--decode", help="The language model alone: tokens a second of 1 and 8 replies.")] = False,
    serving: Annotated[bool, typer.Option("--serve", help="The server: 1 and 8 clients over HTTP, without clips.")] = False,
    page: Annotated[
        bool, typer.Option("--page", help="The app in a headless browser: until something is drawn, and until the first word about a clip.")
    ] = False,
    training: Annotated[bool, typer.Option("--train", help="Training steps against a plain loop over the same model.")] = False,
    engine: Engine = "auto",
    seconds: Annotated[float, typer.Option(min=1, max=14_400, help="Length of the clip that is made.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the report, with a description of the machine, to this JSON file.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="A report of an earlier commit: its medians and the ratios are shown beside.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", hidden=True, help="Measure in this process.")] = False,
) -> None:
    """Measure time to the first token, the full answer, and peak memory; or, with --measure, the measuring layer; with --decode, the
    engine that writes against transformers' own loop (and llama.cpp, where it is installed); with --serve, the server, and
    `transformers serve` beside it; with --page, the app in a browser, beside the first figures; with --train, how fast a stage learns.
    Each run is a process of its own.
    """
    flags = {"measure": measuring, "decode": decoding, "serve": serving, "page": page, "train": training}
    chosen = [name for name, there in flags.items() if there]
    if len(chosen) > 1:
        raise EmollmError(f"--{chosen[0]} and --{chosen[1]} are two benches; give one of them.")
    name = chosen[0] if chosen else "clip"
    if once:
        assert clip is not None
        typer.echo(json.dumps(_once(name, clip, system, scale, threads, engine)))
        return
    before = read(compare, name) if compare is not None else None
    asked = {"system": system, "scale": scale, "engine": engine, "threads": threads, "seconds": seconds, "clip": clip is not None}
    told = machine()
    rows = _in_processes(name, clip, seconds, runs, [f"--{n}" for n in chosen], asked)
    report = Report(name, asked, told, rows)
    if out is not None:
        out.write_text(report.json() + "\n", "utf-8")
    typer.echo(report.json() if as_json else report.markdown(before))


def _once(name: str, clip: Path, system: str, scale: str, threads: int | None, engine: str) -> dict[str, float]:
    match name:
        case "decode":
            return measure_decoding(system, scale, threads, engine)
        case "train":
            return measure_training(system, scale, threads)
        case "measure":
            return measure_alone(clip, system, scale, threads)
        case "page":
            return measure_seen(clip, system, scale, threads, engine)
        case "serve":
            from emollm import load
            from emollm.build import llm_folder
            from emollm.commands.bench_serve import measure_serving, measure_transformers_serve
            from emollm.recipe import load_recipe

            ours = measure_serving(load(system, scale=scale, threads=threads, engine=engine))
            folder = llm_folder(load_recipe(system), scale) if system != "echo" else None
            return ours | (measure_transformers_serve(folder) if folder is not None else {})
    return measure(clip, system, scale, threads, engine)


def _in_processes(
    name: str, clip: Path | None, seconds: float, runs: int, flags: Sequence[str], asked: Mapping[str, Any]
) -> list[dict[str, float]]:
    """The bench again and again, each time in a fresh process."""
    import tempfile

    with tempfile.TemporaryDirectory() as private:
        path = Path(private) if name in ("decode", "serve", "train") else clip or make_clip(Path(private) / "clip.mp4", seconds=seconds)
        command = [sys.executable, "-m", "emollm", "bench", str(path), "--once", *flags]
        for option in ("system", "scale", "engine", "threads"):
            command += [f"--{option}", str(asked[option])] if asked[option] is not None else []
        rows = []
        for _ in range(runs):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.stderr.write(done.stderr)
                raise typer.Exit(done.returncode)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


def measure(path: Path, system: str, scale: str, threads: int | None, engine: str = "auto") -> dict[str, float]:
    """Two questions about a clip in this process. Seconds unless the name says otherwise."""
    from emollm import load
    from emollm.values import Message, Sampling

    began = time.perf_counter()
    backend: Any = load(system, scale=scale, threads=threads, engine=engine)
    loaded = time.perf_counter()
    sampling = Sampling(max_new_tokens=100)
    first = Message("user", QUESTIONS[0], (path,))
    reply = backend.reply([first], sampling)
    answer = reply.text()
    answered = time.perf_counter()
    analysis = backend.analyze(path)
    encoded = backend.parts.perception.encoded
    second = backend.reply([first, Message("assistant", answer), Message("user", QUESTIONS[1])], sampling)
    second.text()
    writing = reply.timings_s["total"] - reply.timings_s["first_token"]
    return {
        "load": loaded - began,
        **{k: analysis.timings_s[k] for k in ("decode", "faces", "speech", "scene")},
        "prefill": reply.timings_s["first_token"] - reply.timings_s["analyze"] - reply.timings_s["prompt"],
        "first_token": reply.timings_s["first_token"],
        "full_answer": answered - loaded,
        "decode_tokens_per_s": (reply.usage.completion_tokens - 1) / max(writing, 1e-6),
        "second_question_first_token": second.timings_s["first_token"],
        "second_question_positions_reused": second.timings_s["reused_positions"],
        "clips_encoded_after_both": float(encoded),
        "prompt_tokens": float(reply.usage.prompt_tokens),
        "answer_tokens": float(reply.usage.completion_tokens),
        "peak_memory_gb": _peak_gb(),
    }


def measure_seen(path: Path, system: str, scale: str, threads: int | None, engine: str) -> dict[str, float]:
    """The same two questions in the app, seen by a browser, and in this process, one after the other: see `measure_page`."""
    from emollm.commands.bench_page import measure_page

    options = ["--system", system, "--scale", scale, "--engine", engine]
    seen = measure_page(path, QUESTIONS, options + (["--threads", str(threads)] if threads is not None else []))
    alone = measure(path, system, scale, threads, engine)
    here = {name: alone[name] for name in ("first_token", "full_answer", "second_question_first_token")}
    ratios = {f"{name}_ratio": seen[name] / here[name] for name in here}
    return seen | {f"{name}_without_page": value for name, value in here.items()} | ratios


def measure_training(system: str, scale: str, threads: int | None) -> dict[str, float]:
    """Steps of a supervised stage on conversations without clips: see `training_figures`."""
    import torch

    from emollm.build import build
    from emollm.training.pace import training_figures

    if threads is not None:
        torch.set_num_threads(threads)
    parts = build(system, scale, fresh=True)
    return training_figures(parts.model, parts.prompts) | {"peak_memory_gb": _peak_gb()}


def measure_decoding(system: str, scale: str, threads: int | None, engine: str = "auto") -> dict[str, float]:
    """The language model of a system, LoRA merged, without clips: see `decode_figures`."""
    import torch

    from emollm.build import llm_folder, shipped_folder
    from emollm.engine.measure import decode_figures
    from emollm.engine.settings import EngineSettings
    from emollm.model.emotion_model import EmotionModel
    from emollm.model.tokenizer import load_tokenizer
    from emollm.quiet import quiet_transformers
    from emollm.recipe import load_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    recipe = load_recipe(system)
    folder = llm_folder(recipe, scale)
    with quiet_transformers():
        tokenizer = load_tokenizer(folder)
        if folder is None:
            model = EmotionModel.from_recipe(recipe, scale, llm_folder=None)
        else:
            model = EmotionModel.from_adapters(shipped_folder(recipe, scale), llm_folder=folder)
        model.merge()
        return decode_figures(model.causal.eval(), tokenizer, settings=EngineSettings.named(engine, threads))


def measure_alone(path: Path, system: str, scale: str, threads: int | None) -> dict[str, float]:
    """One clip as `emollm analyze` measures it. Seconds unless the name says otherwise."""
    import cv2
    import torch

    from emollm.build import measuring_maker

    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    began = time.perf_counter()
    perception = measuring_maker(system, scale, 8.0)()
    loaded = time.perf_counter()
    memory = _peak_gb()
    analysis, _ = perception.look(path)
    whole = time.perf_counter() - loaded
    faces = sum(len(f.track.index) for f in analysis.faces)
    return {
        "load": loaded - began,
        "measured": whole,
        "real_time_factor": whole / max(analysis.duration_s, 0.1),
        **{k: analysis.timings_s[k] for k in ("decode", "faces", "speech")},
        "ms_per_frame_and_face": 1000 * analysis.timings_s["faces"] / max(faces, 1),
        "frames_with_faces": float(faces),
        "clip_seconds": analysis.duration_s,
        "peak_memory_gb_before": memory,
        "peak_memory_gb": _peak_gb(),
    }


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kilobytes on Linux


def make_clip(path: Path, *, seconds: float = 10.0, width: int = 1280, height: int = 720) -> Path:
    """The sample clip scaled to 720p with its sound, repeated to the length wanted; beyond 20 s by copying what is encoded."""
    if seconds > 20:
        part = make_clip(path.with_name(f"part-{path.name}"), seconds=20.0, width=width, height=height)
        _repeat(part, path, seconds)
        part.unlink()
        return path
    import av
    import numpy as np

    from emollm import catalog
    from emollm.media.decode import Limits, decode_clip
    from emollm.values import AUDIO_HZ

    source = decode_clip(catalog.folder("instruct_data") / "samples" / "sample_joy.mp4", Limits(frames=400, fps=30))
    assert source.audio is not None
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = out.add_stream("aac", rate=AUDIO_HZ, layout="mono")
        for i in range(round(seconds * 25)):
            at = (i / 25) % source.duration_s
            frame = source.frames[max(0, int(np.searchsorted(source.times_s, at, side="right")) - 1)]
            for packet in video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(width, height)):
                out.mux(packet)
        sound = np.resize(source.audio, round(seconds * AUDIO_HZ)).astype(np.float32)
        for i in range(0, len(sound), 1024):
            block = av.AudioFrame.from_ndarray(sound[None, i : i + 1024], format="fltp", layout="mono")
            block.sample_rate, block.pts = AUDIO_HZ, i
            for packet in audio.encode(block):
                out.mux(packet)
        for packet in (*video.encode(None), *audio.encode(None)):
            out.mux(packet)
    return path


def _repeat(part: Path, path: Path, seconds: float) -> None:
    """Packets of a clip again and again, later each time."""
    import av

    with av.open(str(path), "w") as out:
        copies: dict[int, Any] = {}
        last: dict[int, int] = {}
        shift = 0.0
        while shift < seconds:
            with av.open(str(part)) as source:
                for stream in (*source.streams.video, *source.streams.audio):
                    if stream.index not in copies:
                        copies[stream.index] = out.add_stream_from_template(stream)
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    ticks = round(shift / packet.time_base)
                    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                    stream = copies[packet.stream.index]
                    # The sound of a part is a little longer than its picture: what would go back in time is left out.
                    if float(packet.pts * packet.time_base) < seconds and packet.dts > last.get(stream.index, -(1 << 60)):
                        last[stream.index] = packet.dts
                        packet.stream = stream
                        out.mux(packet)
            shift += 20.0
