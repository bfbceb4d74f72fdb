"""The backend that runs here: perception and the language model in this process.

A clip is encoded once, and the part of a conversation that was read before is not read again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emollm.build import Parts, build
from emollm.chat import safety
from emollm.chat.backend import Progress, Reply
from emollm.data.collate import pad_guides
from emollm.data.conversation import ClipView, Encoded, Turn
from emollm.errors import BackendError
from emollm.media.decode import digest_of
from emollm.model.llm import PLAIN, Hold
from emollm.sights import chosen
from emollm.values import Analysis, Message, Sampling, Usage

CONTEXT = 4096  # positions; older turns are dropped beyond it


class LocalBackend:
    """A system in this process. Calls from several threads wait for one another."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._model = parts.model
        self._model.merge()
        self._model.eval().requires_grad_(requires_grad=False)
        self._lock = threading.Lock()
        self._kept: tuple[list[tuple[int, int, str]], Any] | None = None  # what the key-value cache holds

    @classmethod
    def from_recipe(
        cls, system: str = "emollm", *, scale: str = "mini", adapters: Path | None = None, threads: int | None = None, hold: Hold = PLAIN
    ) -> LocalBackend:
        """Build a system by name.

        Args:
            system: Recipe name or path.
            scale: One of its scales.
            adapters: Folder of trained adapters; the shipped ones if None.
            threads: For torch; its own choice if None.
            hold: How the language model is held in memory.

        Raises:
            RecipeError: Unknown or faulty recipe.
            CheckpointError: Missing weights.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(build(system, scale, adapters=adapters, hold=hold))

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
        """Identity of the weights."""
        return self._parts.version

    @property
    def parts(self) -> Parts:
        """What the backend is made of, for reports and benches."""
        return self._parts

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """See ChatBackend."""
        return self._parts.perception.analyze(path, progress)

    def forget(self, path: Path) -> None:
        """See ChatBackend. The key-value cache goes as well: it may hold the clip's words."""
        digest = digest_of(path)
        with self._lock:
            self._parts.perception.forget(digest)
            self._kept = None

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """See ChatBackend. Clips are analysed before the first piece is written."""
        if not messages or messages[-1].role != "user":
            raise BackendError("the last message must be the user's.", code="invalid_request")
        return Reply(lambda reply: self._write(reply, list(messages), sampling))

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> Mapping[str, float]:
        """See ChatBackend: likelihood of each label, written out in full with its end of turn."""
        if not labels or len(set(labels)) != len(labels):
            raise BackendError("labels must be a list of different words.", code="invalid_request")
        with self._lock, torch.inference_mode():
            _, embeds, _, _ = self._read(list(messages))
            prompts = self._parts.prompts
            options = [[*prompts.text(label), prompts.end_id] for label in labels]
            causal = self._model.causal
            out = causal.model(inputs_embeds=embeds, use_cache=True)
            first = causal.lm_head(out.last_hidden_state[:, -1]).float().log_softmax(-1)[0]
            longest = max(len(o) for o in options)
            ids = torch.full((len(options), longest), prompts.end_id, device=embeds.device)
            for i, option in enumerate(options):
                ids[i, : len(option)] = torch.tensor(option, device=embeds.device)
            cache = out.past_key_values
            cache.batch_repeat_interleave(len(options))
            logits = causal(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits.float().log_softmax(-1)
            totals = []
            for i, option in enumerate(options):
                rest = sum(float(logits[i, t - 1, option[t]]) for t in range(1, len(option)))
                totals.append(float(first[option[0]]) + rest)
        shares = torch.tensor(totals).softmax(0)
        return {label: float(p) for label, p in zip(labels, shares, strict=True)}

    # -- inside

    def _read(self, messages: Sequence[Message], begun: str = "") -> tuple[Encoded, Tensor, list[tuple[int, int, str]], dict[str, float]]:
        """Messages to a prompt, its embeddings [1, L, D_llm], the identity of each position, and how long looking took."""
        timings: dict[str, float] = {}
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
        embeds = self._embed(encoded, clips)
        owner = _owners(encoded, self._model, clips)
        timings["prompt"] = time.perf_counter() - began
        return encoded, embeds, owner, timings

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
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        with self._lock:
            began = time.perf_counter()
            begun = safety.help_first() if safety.in_crisis(messages[-1].text) else ""
            with torch.inference_mode():
                encoded, embeds, owner, timings = self._read(messages, begun)
            cache, known = self._prefix(owner)
            tokenizer = self._parts.tokenizer
            written: list[int] = []
            streamer = TextIteratorStreamer(tokenizer, skip_prompt=False, skip_special_tokens=True, timeout=None)

            def watch(ids: Tensor, _scores: Any, **_: Any) -> Tensor:
                written[:] = ids[0].tolist()
                return torch.full((len(ids),), reply.cancelled, device=ids.device)

            options = _generation(sampling, self._parts.prompts.end_id)
            failure: list[BaseException] = []

            def work() -> None:
                try:
                    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
                        # The random state belongs to this request alone: replies are written one at a time.
                        torch.manual_seed(sampling.seed if sampling.seed is not None else random.SystemRandom().getrandbits(63))
                        self._model.llm.generate(
                            inputs_embeds=embeds,
                            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device),
                            past_key_values=cache,
                            streamer=streamer,
                            stopping_criteria=StoppingCriteriaList([watch]),
                            **options,
                        )
                except Exception as error:  # noqa: BLE001 - handed to the reader's thread below
                    failure.append(error)
                    streamer.end()

            worker = threading.Thread(target=work, daemon=True)
            worker.start()
            first_s, stopped, finished = 0.0, False, False
            try:
                if begun:
                    first_s = time.perf_counter() - began
                    yield begun
                for piece in _until(streamer, sampling.stop):
                    if piece is None:
                        stopped = True
                        reply.cancel()
                        break
                    if piece:
                        first_s = first_s or time.perf_counter() - began
                        yield piece
                finished = True
            finally:
                if not finished:  # the reader went away
                    reply.cancel()
                worker.join()
            if failure:
                self._kept = None
                raise BackendError(f"the language model failed: {failure[0]}") from failure[0]
            ended = bool(written) and written[-1] == self._parts.prompts.end_id
            reply.usage = Usage(len(encoded.input_ids), len(written) - ended)
            reply.finish_reason = "stop" if ended or stopped else "cancelled" if reply.cancelled else "length"
            reply.timings_s = {**timings, "first_token": first_s, "total": time.perf_counter() - began, "reused_positions": float(known)}
            self._kept = ([*owner, *((t, -1, "") for t in written)], cache)

    def _prefix(self, owner: list[tuple[int, int, str]]) -> tuple[Any, int]:
        """The key-value cache cut back to what this prompt shares with the last one, and how many positions that is."""
        from transformers import DynamicCache

        kept, self._kept = self._kept, None
        if kept is not None:
            before, cache = kept
            held = cache.get_seq_length()
            shared = 0
            for old, new in zip(before[:held], owner[:-1], strict=False):  # at least one position must be read anew
                if old != new:
                    break
                shared += 1
            if shared > 16:
                if held > shared:
                    cache.crop(shared - held)
                return cache, shared
        return DynamicCache(config=self._model.causal.config), 0


def _generation(sampling: Sampling, end_id: int) -> dict[str, Any]:
    """Options of transformers' `generate`."""
    options: dict[str, Any] = {
        "max_new_tokens": sampling.max_new_tokens,
        "do_sample": sampling.temperature > 0,
        "repetition_penalty": sampling.repetition_penalty,
        "eos_token_id": end_id,
        "pad_token_id": end_id,
    }
    if sampling.temperature > 0:
        options |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    return options


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


def _until(pieces: Iterator[str], stops: Sequence[str]) -> Iterator[str | None]:
    """Pieces up to the first stop string, which is left out; None says that one was met. Text that may begin a stop is held back."""
    held = ""
    longest = max((len(s) for s in stops), default=0)
    for piece in pieces:
        held += piece
        at = min((held.find(s) for s in stops if s in held), default=-1)
        if at >= 0:
            yield held[:at]
            yield None
            return
        safe = len(held)
        for n in range(1, min(longest, len(held) + 1)):
            if any(s.startswith(held[-n:]) for s in stops):
                safe = len(held) - n
        yield held[:safe]
        held = held[safe:]
    yield held
