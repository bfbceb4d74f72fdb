"""The backend that runs here: perception and the language model in this process.

A clip is encoded once, and what was read before, of any conversation that is kept, is not read again. Clips are looked at by a few
threads of their own, so that replies go on being written meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emollm.build import Parts, build
from emollm.chat import safety
from emollm.chat.backend import Progress, Reply
from emollm.data.collate import pad_guides
from emollm.data.conversation import ClipView, Encoded, Turn
from emollm.engine.engine import Engine
from emollm.engine.prefixes import Owner
from emollm.engine.sampler import TokenChoice
from emollm.engine.settings import EXACT, EngineSettings
from emollm.engine.text import token_bytes
from emollm.errors import BackendError
from emollm.media.decode import Opener, digest_of
from emollm.model.llm import PLAIN, Hold
from emollm.sights import chosen
from emollm.values import Analysis, Message, Sampling, Usage

CONTEXT = 4096  # positions; older turns are dropped beyond it
READERS = 2  # clips looked at side by side
SEEN = 32  # analyses at hand
TRIED = "Tell me how people show that they are glad."  # what an engine in another process is tried with
TICK_S = 0.05  # how soon a cancelled reply is noticed while its clips are looked at


@dataclass(frozen=True, slots=True)
class _Prompt:
    """Messages as the language model reads them."""

    embeds: Tensor  # [L, D_llm]
    owners: list[Owner]  # L
    timings_s: dict[str, float]
    since: float  # when reading began, on the monotonic clock
    said: tuple[str, ...]  # in the clips


class LocalBackend:
    """A system in this process. Any number of threads may call it: replies are written side by side.

    Args:
        parts: The system.
        engine: Choices of the engine that writes; by default the weights as they are held, which is what results are measured with.

    Raises:
        BackendError: If the engine asked for cannot be had.
    """

    def __init__(self, parts: Parts, engine: EngineSettings = EXACT) -> None:
        self._parts = parts
        self._model = parts.model
        self._model.merge()
        self._model.eval().requires_grad_(requires_grad=False)
        self._held = str(self._model.causal.dtype).removeprefix("torch.")
        self._engine = self._engined(engine)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="emollm-reader")
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, Analysis] = OrderedDict()
        self._forgotten = 0  # how often something was

    @classmethod
    def from_recipe(
        cls,
        system: str = "emollm",
        *,
        scale: str = "mini",
        adapters: Path | None = None,
        threads: int | None = None,
        hold: Hold = PLAIN,
        engine: EngineSettings | str = EXACT,
    ) -> LocalBackend:
        """Build a system by name.

        Args:
            system: Recipe name or path.
            scale: One of its scales.
            adapters: Folder of trained adapters; the shipped ones if None.
            threads: For torch and the engine; their own choice if None.
            hold: How the language model is held in memory.
            engine: "auto", "torch", "openvino", "fast" (weights in 8 bits), or all choices, which vLLM needs.

        Raises:
            RecipeError: Unknown or faulty recipe.
            CheckpointError: Missing weights.
            BackendError: If the engine asked for cannot be had.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        settings = EngineSettings.named(engine) if isinstance(engine, str) else engine
        return cls(build(system, scale, adapters=adapters, hold=hold), replace(settings, threads=settings.threads or threads))

    @property
    def system(self) -> str:
        """Name of the recipe."""
        return self._parts.recipe.name

    @property
    def scale(self) -> str:
        """Scale of the recipe."""
        return self._parts.scale

    @property
    def version(self) -> str:
        """Identity of the weights, with how they were rounded if the engine did that."""
        precision = self._engine.precision
        return self._parts.version if precision == self._held else f"{self._parts.version}-{precision}"

    @property
    def parts(self) -> Parts:
        """What the backend is made of, for reports and benches."""
        return self._parts

    @property
    def engine(self) -> Engine:
        """What writes and scores, for reports and benches."""
        return self._engine

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """See ChatBackend."""
        digest = digest_of(path)
        with self._lock:
            if digest in self._seen:
                self._seen.move_to_end(digest)
                return self._seen[digest]
            forgotten = self._forgotten
        analysis = self._parts.perception.analyze(path, progress)
        with self._lock:
            if forgotten != self._forgotten:  # perhaps this very clip, while it was looked at: nothing is kept then
                return analysis
            self._seen[digest] = analysis
            while len(self._seen) > SEEN:
                self._seen.popitem(last=False)
        return analysis

    def forget(self, path: Path) -> None:
        """See ChatBackend. What the language model has read of the clip goes as well."""
        digest = digest_of(path)
        self._parts.perception.forget(digest)
        with self._lock:
            self._seen.pop(digest, None)
            self._forgotten += 1
        self._engine.forget(digest)

    def open_with(self, opened: Opener) -> None:
        """Have files opened in another way, e.g. in another process."""
        self._parts.perception.opened = opened

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """See ChatBackend. Clips are analysed before the first piece is written."""
        if not messages or messages[-1].role != "user":
            raise BackendError("the last message must be the user's.", code="invalid_request")
        return Reply(lambda reply: self._write(reply, list(messages), sampling))

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> Mapping[str, float]:
        """See ChatBackend: likelihood of each label, written out in full with its end of turn."""
        if not labels or len(set(labels)) != len(labels):
            raise BackendError("labels must be a list of different words.", code="invalid_request")
        prompt = self._read(list(messages))
        prompts = self._parts.prompts
        options = [[*prompts.text(label), prompts.end_id] for label in labels]
        totals = self._engine.score(prompt.embeds, prompt.owners, options, since=prompt.since)
        shares = torch.tensor(totals).softmax(0)
        return {label: float(p) for label, p in zip(labels, shares, strict=True)}

    # -- inside

    def _engined(self, settings: EngineSettings) -> Engine:
        """The engine asked for; one in another process is tried with a short conversation first."""
        words = (self._model.causal, self._parts.tokenizer, self._parts.prompts.end_id)
        if settings.core != "vllm":
            return Engine(*words, settings)
        from emollm.engine.vllm_engine import VllmEngine

        engine = VllmEngine(*words, settings)
        prompt = self._read([Message("user", TRIED)])
        engine.check(prompt.embeds, prompt.owners)
        return engine

    @torch.inference_mode()
    def _read(self, messages: Sequence[Message], begun: str = "") -> _Prompt:
        """Messages to a prompt; the oldest turns are dropped if they are too many."""
        timings: dict[str, float] = {}
        since = time.monotonic()
        began = time.perf_counter()
        analyses = {path: self._taken(self.analyze(path)) for m in messages for path in m.clips}
        timings["analyze"] = time.perf_counter() - began
        began = time.perf_counter()
        kept = list(messages)
        while True:
            turns, clips = _turns(kept, analyses)
            encoded = self._parts.prompts.build(turns, begun=begun)
            if len(encoded.input_ids) <= CONTEXT:
                break
            rest = kept[1:] if kept[0].role != "system" else [kept[0], *kept[2:]]
            if not rest or rest[-1] is not kept[-1] or len(rest) == len(kept) or rest[-1].role == "system":
                raise BackendError(
                    f"the message has {len(encoded.input_ids)} tokens; the model reads {CONTEXT}. Shorten it.",
                    code="context_length_exceeded",
                )
            kept = rest
        embeds = self._embed(encoded, clips)[0]
        owners = _owners(encoded, self._model, clips)
        timings["prompt"] = time.perf_counter() - began
        said = tuple(t.clip.words for t in turns if t.clip is not None and t.clip.words)
        return _Prompt(embeds, owners, timings, since, said)

    def _known(self, path: Path) -> bool:
        """Whether a clip was looked at before; its measurements are then at hand without waiting for the encoders."""
        with self._lock:
            return digest_of(path) in self._seen

    def _taken(self, analysis: Analysis) -> Analysis:
        """A clip with the features that the system's streams take."""
        return replace(analysis, features=chosen(self._parts.recipe, analysis.features))

    def _embed(self, encoded: Encoded, clips: Sequence[Analysis]) -> Tensor:
        at = self._model.device_of_words
        ids, slots = torch.tensor([encoded.input_ids], device=at), torch.tensor([encoded.slots], device=at)
        guide = pad_guides([encoded], self._parts.prompts.end_id)
        parts = [self._model.project({n: (f.tokens, f.mask) for n, f in clip.features.items()}, guide) for clip in clips]
        joined = {}
        for name in self._model.streams:
            having = [p[name] for p in parts if name in p]
            if having:
                joined[name] = (torch.cat([t for t, _ in having], 1), torch.cat([m for _, m in having], 1))
        from emollm.model.splice import splice

        return splice(self._model.get_input_embeddings()(ids), slots, self._model.streams, joined)

    def _write(self, reply: Reply, messages: list[Message], sampling: Sampling) -> Iterator[str]:
        began = time.perf_counter()
        due = None if sampling.deadline_s is None else time.monotonic() + sampling.deadline_s
        begun = safety.begin(messages)
        prompt = self._prepared(reply, messages, begun, due)
        if prompt is None:
            reply.finish_reason, reply.usage = "cancelled", Usage(0, 0)
            return
        first_s = 0.0
        # A clip is asked about again to be told the same again.
        earlier = () if any(m.clips for m in messages) else tuple(m.text for m in messages if m.role == "assistant")
        stream = self._engine.write(
            prompt.embeds,
            prompt.owners,
            sampling,
            due=due,
            since=prompt.since,
            cancelled=lambda: reply.cancelled,
            earlier=earlier,
            said=prompt.said,
        )
        try:
            if begun:
                first_s = time.perf_counter() - began
                yield begun
            for piece in stream:
                first_s = first_s or time.perf_counter() - began
                yield piece
        finally:
            stream.cancel()  # the reader may have gone away
        ended = stream.ended
        assert ended is not None
        closed = bool(ended.tokens) and ended.tokens[-1] == self._parts.prompts.end_id
        reply.usage = Usage(len(prompt.owners), len(ended.tokens) - closed)
        reply.finish_reason = ended.reason
        reply.logprobs = self._told(ended.choices)
        reused = float(ended.reused)
        reply.timings_s = {**prompt.timings_s, "first_token": first_s, "total": time.perf_counter() - began, "reused_positions": reused}

    def _prepared(self, reply: Reply, messages: list[Message], begun: str, due: float | None) -> _Prompt | None:
        """The prompt of a reply; None if it was cancelled before. Clips that are new are looked at elsewhere, a few at a time."""
        if all(self._known(path) for m in messages for path in m.clips):
            return self._read(messages, begun)
        reading = self._readers.submit(self._read, messages, begun)
        while not wait([reading], timeout=TICK_S).done:
            if reply.cancelled or (due is not None and time.monotonic() > due):
                reading.cancel()
                if reply.cancelled:
                    return None
                raise BackendError("the answer was not complete before its deadline.", code="deadline_exceeded")
        return reading.result()

    def _told(self, choices: Sequence[TokenChoice]) -> list[dict[str, Any]]:
        """Log-probabilities in words: each token's text, its own value, and the likeliest ones with theirs."""
        tokenizer = self._parts.tokenizer
        return [
            {
                "token": tokenizer.decode([c.token]),
                "logprob": c.logprob,
                "bytes": token_bytes(tokenizer, c.token),
                "top": [(tokenizer.decode([t]), p) for t, p in c.top],
                "top_bytes": [token_bytes(tokenizer, t) for t, _ in c.top],
            }
            for c in choices
        ]


def _turns(messages: Sequence[Message], analyses: Mapping[Path, Analysis]) -> tuple[list[Turn], list[Analysis]]:
    """Messages to turns; a message with several clips becomes one turn a clip, the text with the last."""
    turns: list[Turn] = []
    clips: list[Analysis] = []
    for message in messages:
        seen = [analyses[p] for p in message.clips]
        clips += seen
        turns += [Turn(message.role, "", clip=ClipView.of(a)) for a in seen[:-1]]
        turns.append(Turn(message.role, message.text, clip=ClipView.of(seen[-1]) if seen else None))
    return turns, clips


def _owners(encoded: Encoded, model: Any, clips: Sequence[Analysis]) -> list[tuple[int, int, str]]:
    """What makes each position the same as another: its id, its slot, and for slots whose clip it shows."""
    owners: list[tuple[int, int, str]] = []
    asked = str(hash(tuple(encoded.guide))) if model.guided else ""  # the same clip looks different in the light of another question
    queues: dict[int, list[str]] = {i: [] for i in range(len(model.streams))}
    for clip in clips:
        counts = model.counts({n: f.tokens.shape[1] for n, f in clip.features.items()})
        for i, name in enumerate(model.streams):
            queues[i] += [f"{clip.digest}:{k}:{asked}" for k in range(counts[name])]
    for token, slot in zip(encoded.input_ids, encoded.slots, strict=True):
        owners.append((token, slot, queues[slot].pop(0) if slot >= 0 else ""))
    return owners
