"""`emollm chat`: one answer about clips, or a conversation in the terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emollm.commands.loading import Adapters, Bits, DeviceMap, Engine, EngineKey, EnginePublic, EngineUrl, engine_choice, load_backend
from emollm.errors import EmollmError
from emollm.values import Message, Sampling

if TYPE_CHECKING:
    from emollm.chat.backend import ChatBackend

EMOTIONS = ("neutral", "calm", "happy", "sad", "surprise", "angry", "fear", "disgust", "contempt", "bored")


def chat(
    clips: Annotated[list[Path] | None, typer.Argument(help="Videos, sounds or pictures; none for a chat about text.")] = None,
    *,
    ask: Annotated[str | None, typer.Option(help="Ask this and stop; without it an interactive chat begins.")] = None,
    system: Annotated[str, typer.Option(help="Recipe name, or a path to a .toml.")] = "emollm",
    scale: Annotated[str, typer.Option(help="toy or mini.")] = "mini",
    adapters: Adapters = None,
    bits: Bits = None,
    device_map: DeviceMap = None,
    engine: Engine = "auto",
    engine_url: EngineUrl = "",
    engine_key: EngineKey = "",
    engine_public: EnginePublic = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with answer, emotion, evidence, timeline and more.")
    ] = False,
    max_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 200,
    temperature: Annotated[float, typer.Option(help="0 always gives the same answer.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="For temperatures above 0.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Ask about the emotions in clips, or just talk."""
    paths = tuple(clips or ())
    if as_json and ask is None:
        raise EmollmError("--json needs a question. Add --ask 'How does this person feel?'.")
    from emollm.media.decode import digest_of

    for path in paths:  # a wrong path should fail before seconds of loading
        digest_of(path)
    chosen = engine_choice(engine, engine_url, engine_key, engine_public)
    backend = load_backend(system, scale, threads, adapters, bits, device_map, chosen)
    sampling = Sampling(max_new_tokens=max_tokens, temperature=temperature, seed=seed)
    if ask is not None:
        message = Message("user", ask, paths)
        if as_json:
            typer.echo(json.dumps(answer_json(backend, [message], sampling), indent=1, ensure_ascii=False))
        else:
            _show(backend, [message], sampling)
            _warn(backend, paths)
        return
    _talk(backend, paths, sampling)


def answer_json(backend: ChatBackend, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    """One answer with everything that was measured, as the plain object that --json prints."""
    from emollm.exports import report

    began = time.perf_counter()
    paths = [p for m in messages for p in m.clips]
    analyses = [backend.analyze(p) for p in paths]
    reply = backend.reply(messages, sampling)
    answer = reply.text()
    told = [Message(m.role, m.text, m.clips) for m in messages]
    told[-1] = Message("user", _label_question(), messages[-1].clips)
    scores = backend.score(told, EMOTIONS)
    first = analyses[0] if analyses else None
    timings = {**(first.timings_s if first else {}), **reply.timings_s, "total": time.perf_counter() - began}
    best = max(scores, key=lambda name: scores[name])
    absent = {"present": False, "reason": "no clip was given"}
    return {
        "answer": answer,
        "emotion": {"label": best, "scores": {k: round(v, 4) for k, v in sorted(scores.items(), key=lambda kv: -kv[1])}},
        "evidence": report.evidence(first) if first else {"face": absent, "voice": absent, "words": absent},
        "timeline": report.timeline(first) if first else [],
        "transcript": report.transcript(first) if first else None,
        "usage": {"prompt_tokens": reply.usage.prompt_tokens, "completion_tokens": reply.usage.completion_tokens} if reply.usage else {},
        "timings_s": {k: round(v, 3) for k, v in timings.items()},
        "warnings": [w for a in analyses for w in a.warnings],
        "system": backend.system,
        "scale": backend.scale,
    }


def _label_question() -> str:
    from emollm.data.prompts import label_question

    return label_question(list(EMOTIONS))


def _show(backend: ChatBackend, messages: Sequence[Message], sampling: Sampling) -> str:
    """Stream an answer to the terminal and return it; Ctrl-C ends the answer, not the program."""
    reply = backend.reply(messages, sampling)
    said = []
    try:
        for piece in reply:
            said.append(piece)
            sys.stdout.write(piece)
            sys.stdout.flush()
    except KeyboardInterrupt:
        reply.cancel()
        sys.stdout.write(" ...")
    sys.stdout.write("\n")
    return "".join(said)


def _warn(backend: ChatBackend, paths: Sequence[Path]) -> None:
    for path in paths:
        for warning in backend.analyze(path).warnings:
            typer.echo(f"warning: {warning}", err=True)


def _talk(backend: ChatBackend, paths: tuple[Path, ...], sampling: Sampling) -> None:
    typer.echo(f"{backend.system} at scale {backend.scale}. Ask anything; /clear starts over, /quit or Ctrl-D ends.")
    typer.echo("It tells of expression as it is shown, not of what anyone feels inside.")
    _warn(backend, paths)
    history: list[Message] = []
    while True:
        try:
            question = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            typer.echo("")
            return
        if question in ("/quit", "/exit"):
            return
        if question == "/clear":
            history = []
            continue
        if not question:
            continue
        message = Message("user", question, paths if not history else ())
        try:
            said = _show(backend, [*history, message], sampling)
        except EmollmError as error:  # the conversation goes on: nothing said so far is lost
            typer.echo(f"emollm: {error}", err=True)
            continue
        history += [message, Message("assistant", said)]
