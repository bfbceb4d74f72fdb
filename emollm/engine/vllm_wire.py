"""A reply as vLLM's completions address speaks of it: embeddings and draws out, tokens with their log-probabilities back.

Only the form of messages is known here, neither connections nor text.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emollm.engine.sampler import TokenChoice
from emollm.errors import BackendError
from emollm.values import Sampling

MOST_LOGPROBS = 20  # vLLM's own ceiling, unless it was started with another
TOKEN = "token_id:"  # how vLLM names tokens when asked for numbers
TOLD = 300  # characters of the other side's complaint that are repeated


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event brings."""

    tokens: tuple[int, ...] = ()
    choices: tuple[TokenChoice, ...] = ()  # one for each token, if they were asked for
    reason: str | None = None  # why the reply ended, with the last tokens


def packed(embeds: Tensor) -> str:
    """Embeddings [L, D_llm] as base64 of a file of torch, in the precision they have."""
    held = io.BytesIO()
    torch.save(embeds.detach().to("cpu", copy=True).contiguous(), held)  # a copy: a view would be saved with all that it is a part of
    return base64.b64encode(held.getvalue()).decode("ascii")


def unpacked(text: str) -> Tensor:
    """What `packed` made, [L, D_llm]; nothing but tensors is unpacked."""
    held: Tensor = torch.load(io.BytesIO(base64.b64decode(text, validate=True)), weights_only=True)
    return held


def request(model: str, embeds: Tensor, sampling: Sampling, end_id: int, salt: str) -> dict[str, Any]:
    """The body of a streamed completion.

    Args:
        model: As the server lists it.
        embeds: [L, D_llm].
        sampling: How to draw; every choice is said, so that no default of the server's counts.
        end_id: The token that ends a reply.
        salt: Prompts that the server keeps read are found again under the same word only.

    Raises:
        BackendError: If more log-probabilities are asked for than vLLM tells.
    """
    if sampling.logprobs > MOST_LOGPROBS:
        raise BackendError(f"logprobs of {sampling.logprobs} were asked for; vLLM tells {MOST_LOGPROBS} at most.", code="invalid_request")
    body: dict[str, Any] = {
        "model": model,
        "prompt_embeds": packed(embeds),
        "stream": True,
        "max_tokens": sampling.max_new_tokens,
        "temperature": max(sampling.temperature, 0.0),
        "top_p": sampling.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": sampling.repetition_penalty,
        "stop_token_ids": [end_id],
        "return_token_ids": True,
        "cache_salt": salt,
    }
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logprobs:
        body |= {"logprobs": sampling.logprobs, "return_tokens_as_token_ids": True}
    if sampling.schema is not None:
        body["structured_outputs"] = {"json": sampling.schema}
    return body


def piece(event: Mapping[str, Any], count: int) -> Piece:
    """One event of the stream.

    Args:
        event: As parsed from JSON.
        count: How many likeliest tokens were asked for.

    Raises:
        BackendError: If it tells of an error, or tells no tokens.
    """
    if event.get("error"):
        raise BackendError(f"vLLM failed in the middle of the reply: {_said(event)}", code="backend_failed")
    choices = event.get("choices")
    if not choices:
        return Piece()
    choice = choices[0]
    reason = choice.get("finish_reason")
    if reason not in (None, "stop", "length"):
        raise BackendError(f"vLLM ended the reply with {reason!r}. Its log says why.", code="backend_failed")
    tokens = choice.get("token_ids")
    if tokens is None:
        if choice.get("text"):
            raise BackendError("the server tells text but no token ids; vLLM 0.32 does (return_token_ids).", code="backend_failed")
        tokens = []
    told: tuple[TokenChoice, ...] = ()
    if count and tokens:
        given = choice.get("logprobs") or {}
        values, tops = given.get("token_logprobs") or [], given.get("top_logprobs") or []
        if len(values) != len(tokens) or len(tops) != len(tokens):
            raise BackendError(f"vLLM told {len(values)} log-probabilities for {len(tokens)} tokens.", code="backend_failed")
        told = tuple(TokenChoice(t, float(v), _likeliest(top, count)) for t, v, top in zip(tokens, values, tops, strict=True))
    return Piece(tuple(int(t) for t in tokens), told, reason)


def refusal(status: int, body: bytes, url: str) -> BackendError:
    """What a status other than 200 means for whoever asked."""
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    said = _said(data) if isinstance(data, dict) else ""
    if status in (401, 403):
        return BackendError(f"vLLM at {url} refuses the key. Set EMOLLM_ENGINE_KEY to the one it was started with.", code="backend_failed")
    if status in (429, 503):
        return BackendError(f"vLLM at {url} is too busy ({status}). Try again in a moment.", code="server_busy")
    if status == 404:
        return BackendError(f"vLLM at {url} answers 404: {said or 'no such address'}. Does the address end in /v1?", code="backend_failed")
    if status == 400 and "maximum model length" in said:
        return BackendError(f"the conversation is longer than vLLM reads (its --max-model-len): {said}", code="context_length_exceeded")
    if status == 400 and "context length" in said:
        return BackendError(f"the conversation is longer than vLLM reads (its --max-model-len): {said}", code="context_length_exceeded")
    return BackendError(f"vLLM at {url} answered {status}: {said or 'without saying why'}", code="backend_failed")


def _said(data: Mapping[str, Any]) -> str:
    error = data.get("error")
    said = error.get("message") if isinstance(error, dict) else error
    said = data.get("message") or data.get("detail") if said is None else said
    return " ".join(str(said or "").split())[:TOLD]


def _likeliest(top: Mapping[str, float] | None, count: int) -> tuple[tuple[int, float], ...]:
    """Tokens with their log-probabilities, the likeliest first; vLLM adds the drawn one, which is left out if it is not among them."""
    found = [(int(name.removeprefix(TOKEN)), float(value)) for name, value in (top or {}).items()]
    return tuple(sorted(found, key=lambda one: -one[1])[:count])
