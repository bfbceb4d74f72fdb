"""The engine whose replies are written by vLLM in another process: it is sent embeddings and sends tokens back.

Text is made of tokens here, as for every core. Labels are scored here too, by the torch core on the weights as they are held, so that
evaluation does not depend on the other side.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from emollm.engine.address import checked
from emollm.engine.choose import Chosen
from emollm.engine.engine import Engine
from emollm.engine.line import Line
from emollm.engine.prefixes import Owner
from emollm.engine.sampler import TokenChoice
from emollm.engine.settings import EngineSettings
from emollm.engine.stream import End, Ended, Stream
from emollm.engine.text import Speech
from emollm.engine.vllm_wire import Piece, piece, refusal, request
from emollm.errors import BackendError
from emollm.values import Sampling

TICK_S = 0.05  # how soon a reply that nobody waits for is given up
PROBED = 12  # tokens that are compared before the other side is trusted
FAR = 0.3  # nats; rounding to bfloat16 moves a token's log-probability by less, another model by far more


class VllmEngine(Engine):
    """Writes through vLLM's completions address, scores here.

    Args:
        causal: The merged language model, of which the other side serves an export.
        tokenizer: Its fast tokenizer.
        end_id: The token that ends a reply.
        settings: With the other side's address.

    Raises:
        BackendError: If the address is not accepted, nobody answers there, or it serves no model.
    """

    def __init__(self, causal: Any, tokenizer: Any, end_id: int, settings: EngineSettings) -> None:
        url = checked(settings.url, public=settings.url_public)
        super().__init__(causal, tokenizer, end_id, replace(settings, core="torch", precision="float32", url="", key=""))
        self._line = Line(url, settings.key)
        self._most = settings.streams + settings.waiting
        self._lock = threading.Lock()
        self._running = 0
        self._salt = _new_salt()
        self._model = self._listed()
        self.chosen = Chosen(self.chosen.core, f"replies by vLLM at {url}")

    @property
    def precision(self) -> str:
        """See Engine: how the other side holds its weights is not known here."""
        return "vllm"

    @property
    def load(self) -> int:
        """How many replies are on their way."""
        with self._lock:
            return self._running

    def write(
        self,
        embeds: Tensor,
        owners: list[Owner],
        sampling: Sampling,
        *,
        due: float | None = None,
        since: float | None = None,
        cancelled: Callable[[], bool] | None = None,
        earlier: Sequence[str] = (),
        said: Sequence[str] = (),
    ) -> Stream:
        """See Engine. The other side finds what it keeps by content, so it is told no owners; of earlier answers and words it cannot be."""
        if sampling.schema is not None:
            self._grammars.matcher(sampling.schema)  # refuses what cannot be followed, in the words of every engine
        prompt = self._prompt(embeds, owners, due, since)
        body = request(self._model, prompt.embeds, sampling, self._end_id, self._salt)
        with self._lock:
            if self._running >= self._most:
                raise BackendError(f"{self._running} replies are on their way to vLLM. Try again in a moment.", code="server_busy")
            self._running += 1
        stream = Stream(cancelled)
        self._line.send(self._carry(_Reply(stream, sampling, Speech(self._tokenizer, sampling.stop), self._end_id), body, due))
        return stream

    def forget(self, digest: str) -> None:
        """See Engine. The other side cannot drop single prompts: what it keeps is never found again, and goes when its memory is needed."""
        super().forget(digest)
        self._salt = _new_salt()

    def clear(self) -> None:
        """See Engine; of the other side as in `forget`."""
        super().clear()
        self._salt = _new_salt()

    def check(self, embeds: Tensor, owners: list[Owner]) -> None:
        """Have the other side continue a prompt [L, D_llm], and compare its log-probabilities with those computed here.

        Raises:
            BackendError: If it serves another model, or computes wrongly; it may do both with status 200.
        """
        stream = self.write(embeds, owners, Sampling(max_new_tokens=PROBED, logprobs=1, repetition_penalty=1.0))
        for _ in stream:
            pass
        assert stream.ended is not None
        choices = stream.ended.choices
        if not choices:
            raise BackendError(f"vLLM at {self._line.url} wrote nothing when it was tried. Its log says why.", code="backend_failed")
        tokens = [c.token for c in choices]
        sums = self.score(embeds, owners, [tokens[: n + 1] for n in range(len(tokens))])
        ours = [after - before for before, after in zip([0.0, *sums], sums, strict=False)]
        apart = max(abs(c.logprob - own) for c, own in zip(choices, ours, strict=True))
        if not apart <= FAR:
            raise BackendError(
                f"the model {self._model!r} of vLLM at {self._line.url} is not this one, or is computed wrongly: of {len(tokens)} tokens "
                f"one is {apart:.2f} nats from the log-probability computed here ({FAR} are allowed). Export it again (emollm weights "
                "export) and serve it in float32.",
                code="backend_failed",
            )

    # -- inside

    def _listed(self) -> str:
        """The model that the other side serves: the first it lists."""
        status, body = self._line.get("/models")
        if status != 200:
            raise refusal(status, body, self._line.url)
        try:
            names = [str(model["id"]) for model in json.loads(body)["data"]]
        except (ValueError, KeyError, TypeError):
            raise BackendError(f"{self._line.url} does not list models as vLLM does. Does the address end in /v1?") from None
        if not names:
            raise BackendError(f"vLLM at {self._line.url} serves no model.", code="backend_failed")
        return names[0]

    async def _carry(self, reply: _Reply, body: dict[str, Any], due: float | None) -> None:
        """One reply, in the line's thread, until it ends, nobody waits for it, or it is late."""
        reading = asyncio.ensure_future(
            self._line.events("/completions", body, reply.take, lambda status, said: refusal(status, said, self._line.url))
        )
        how: Ended | BaseException
        try:
            while not (await asyncio.wait({reading}, timeout=TICK_S))[0]:
                if reply.stream.cancelled or (due is not None and time.monotonic() > due):
                    break
            if reading.done():
                reading.result()
                how = reply.ended()
            elif reply.stream.cancelled:
                how = reply.ended("cancelled")
            else:
                how = BackendError("the answer was not complete before its deadline.", code="deadline_exceeded")
        except BackendError as error:
            how = error
        except asyncio.CancelledError:
            how = BackendError("the engine has been stopped.", code="backend_failed")
        except Exception as error:  # noqa: BLE001 - nobody must be left waiting
            how = BackendError(f"what vLLM at {self._line.url} sent cannot be read: {error!r}", code="backend_failed")
        if not reading.done():
            reading.cancel()  # closes the connection, by which the other side knows
            await asyncio.wait({reading})
        with self._lock:
            self._running -= 1
        reply.stream.end(how)


class _Reply:
    """Tokens of one reply as they arrive, made text."""

    def __init__(self, stream: Stream, sampling: Sampling, speech: Speech, end_id: int) -> None:
        self.stream = stream
        self._sampling, self._speech, self._end_id = sampling, speech, end_id
        self._tokens: list[int] = []
        self._choices: list[TokenChoice] = []
        self._reason: str | None = None
        self._began = time.monotonic()
        self._first_s = 0.0

    def take(self, data: str) -> bool:
        """One event's data; True if the reply has ended."""
        if data == "[DONE]":
            return True
        found: Piece = piece(json.loads(data), self._sampling.logprobs)
        if found.tokens:
            self._first_s = self._first_s or time.monotonic() - self._began
        for i, token in enumerate(found.tokens):
            self._tokens.append(token)
            self._choices += found.choices[i : i + 1]
            if token == self._end_id:
                self._reason = "stop"
                return True
            self.stream.put(self._speech.push(token))
            if self._speech.stopped:
                self._reason = "stop"
                return True
        self._reason = found.reason or self._reason
        return False

    def ended(self, reason: End | None = None) -> Ended:
        """How the reply ended, with what is left of its text said.

        Raises:
            BackendError: If the other side broke off.
        """
        told: End = reason or ("length" if self._reason == "length" else "stop")
        if reason is None and self._reason is None:
            raise BackendError("the connection to vLLM ended in the middle of the reply. Ask again.", code="backend_failed")
        self.stream.put(self._speech.rest())
        if self._speech.stopped and told == "length":
            told = "stop"
        return Ended(told, tuple(self._tokens), 0, self._first_s, tuple(self._choices))


def _new_salt() -> str:
    return uuid.uuid4().hex
