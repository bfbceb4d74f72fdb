"""Any OpenAI-compatible endpoint as a ChatBackend. Measuring and label scoring need an emollm server at the other end.

It knows addresses and JSON, not what computes the answers.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from emollm.chat.backend import Progress, Reply, refuse_forms
from emollm.chat.wire import analysis_from
from emollm.errors import BackendError, EmollmError, MediaError
from emollm.lazy import need
from emollm.media.decode import digest_of
from emollm.values import Analysis, Message, Sampling, Usage

MEDIA_CODES = ("media_unreadable", "unsupported_media", "media_too_long", "image_too_large", "not_found")
FINISH: Mapping[str, Any] = {"stop": "stop", "length": "length"}
KEPT = 64  # analyses


class RemoteBackend:
    """A client of one endpoint; safe to use from several threads.

    Args:
        base_url: Address up to and including `/v1`, e.g. "http://127.0.0.1:8000/v1".
        model: A model id of the endpoint; by default the first it lists.
        api_key: Sent as a bearer token.
        timeout_s: How long the endpoint may stay silent.
    """

    def __init__(self, base_url: str, *, model: str | None = None, api_key: str | None = None, timeout_s: float = 600.0) -> None:
        self._httpx = need("httpx", extra="serve")
        self._asked = model
        self._url = base_url.rstrip("/")
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = self._httpx.Client(headers=headers, timeout=self._httpx.Timeout(timeout_s, connect=10.0))
        self._analyses: dict[str, Analysis] = {}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def system(self) -> str:
        """Name of the system that answers; for an endpoint that is not ours, its model id."""
        return str(self._model.get("emollm", {}).get("system", self._model["id"]))

    @property
    def scale(self) -> str:
        """Scale of the system; "remote" when the endpoint is not ours."""
        return str(self._model.get("emollm", {}).get("scale", "remote"))

    @property
    def version(self) -> str:
        """Identity of the weights behind the endpoint, if it is ours and tells."""
        return str(self._model.get("emollm", {}).get("version", ""))

    @cached_property
    def _model(self) -> Mapping[str, Any]:
        with self._faults():
            response = self._client.get(f"{self._url}/models")
            if response.status_code == 404 and self._asked:  # some endpoints have no list
                return {"id": self._asked}
            models = [model for model in self._read(response).get("data") or [] if "id" in model]
        for model in models:
            if self._asked in (None, model["id"]):
                return model
        if self._asked and not any("emollm" in model for model in models):
            return {"id": self._asked}  # aliases and fine-tunes are often unlisted
        listed = ", ".join(model["id"] for model in models) or "none"
        raise BackendError(f"{self._url} does not offer the model {self._asked!r}; it lists: {listed}.", code="model_not_found")

    def forget(self, path: Path) -> None:
        """See ChatBackend: what this side keeps goes; what the server keeps is the server's to forget."""
        self._analyses.pop(digest_of(path), None)

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """Have an emollm server measure a clip; its content is sent once."""
        digest = digest_of(path)
        known = self._analyses.get(digest)
        if known is None:
            self._must_be_ours("measuring a clip")
            if progress is not None:
                progress(0.0, "sending the clip")
            body = {"messages": [_wire(Message("user", "", (path,)))], "measurements": True}
            data = self._post("/emollm/analyze", body)
            try:
                known = self._analyses[digest] = analysis_from(data["measurements"])
            except (KeyError, TypeError, ValueError) as error:
                raise BackendError(f"{self._url} sent measurements that cannot be read ({error!r}). Is it of another version?") from error
            while len(self._analyses) > KEPT:
                del self._analyses[next(iter(self._analyses))]
        if progress is not None:
            progress(1.0, "done")
        return replace(known, name=path.name)

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> Mapping[str, float]:
        """Have an emollm server score the labels."""
        self._must_be_ours("label scoring")
        data = self._post("/emollm/score", {"messages": [_wire(message) for message in messages], "labels": list(labels)})
        return {label: float(data["probabilities"][label]) for label in labels}

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """Stream an answer from the endpoint."""
        refuse_forms(sampling, self._url)

        def write(reply: Reply) -> Iterator[str]:
            start = time.perf_counter()
            body = self._request(messages, sampling)
            with self._faults(), self._client.stream("POST", f"{self._url}/chat/completions", json=body) as response:
                if response.status_code != 200:
                    response.read()
                    self._read(response)
                yield from self._pieces(response.iter_lines(), reply)
            reply.timings_s.setdefault("reply", time.perf_counter() - start)

        return Reply(write)

    def _request(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model["id"],
            "messages": [_wire(message) for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if "emollm" in self._model:  # other endpoints refuse what they do not know
            body |= {"repetition_penalty": sampling.repetition_penalty, "sentence_penalty": sampling.sentence_penalty}
        return body

    def _pieces(self, lines: Iterator[str], reply: Reply) -> Iterator[str]:
        """Server-sent events to text; `: keepalive` and other comments are skipped."""
        for line in lines:
            if reply.cancelled:
                reply.finish_reason = "cancelled"
                return
            if not line.startswith("data:"):
                continue
            data = line[5:].strip()
            if data == "[DONE]":
                break
            event = json.loads(data)
            if "error" in event:
                raise self._fault(event)
            if usage := event.get("usage"):
                reply.usage = Usage(usage["prompt_tokens"], usage["completion_tokens"])
            reply.timings_s.update((event.get("emollm") or {}).get("timings_s") or {})
            for choice in event.get("choices") or ():
                if text := (choice.get("delta") or {}).get("content"):
                    yield text
                if choice.get("finish_reason"):
                    reply.finish_reason = FINISH.get(choice["finish_reason"], "stop")
        if reply.finish_reason is None:
            raise BackendError(f"the connection to {self._url} ended in the middle of the reply. Ask again.")

    def _must_be_ours(self, what: str) -> None:
        if "emollm" not in self._model:
            raise BackendError(f"{what} needs an emollm server, and {self._url} is not one. Start one with `emollm serve`.")

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        with self._faults():
            return self._read(self._client.post(self._url + path, json={"model": self._model["id"], **body}))

    def _read(self, response: Any) -> Any:
        """The body as JSON, or the endpoint's complaint as an error of ours."""
        try:
            data = response.json()
        except ValueError:
            data = None
        if response.status_code != 200:
            raise self._fault(data, response.status_code)
        if not isinstance(data, dict):
            raise BackendError(f"{self._url} did not answer with a JSON object. Does the address end in /v1?")
        return data

    def _fault(self, data: Any, status: int | None = None) -> EmollmError:
        error = data.get("error") if isinstance(data, dict) else None
        error = error if isinstance(error, dict) else {"message": error}
        message, code = error.get("message") or f"answered {status} without saying why", error.get("code")
        if code in MEDIA_CODES:
            return MediaError(message, code=code)
        return BackendError(f"{self._url}: {message}", code=code if isinstance(code, str) else None)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise BackendError(f"no answer from {self._url} ({error or type(error).__name__}). Is the server running?") from error
        except json.JSONDecodeError as error:
            raise BackendError(f"{self._url} sent a stream that is not JSON. Does the address end in /v1?") from error


def _wire(message: Message) -> dict[str, Any]:
    if not message.clips:
        return {"role": message.role, "content": message.text}
    parts = [_part(path) for path in message.clips]
    if message.text:
        parts.append({"type": "text", "text": message.text})
    return {"role": message.role, "content": parts}


def _part(path: Path) -> dict[str, Any]:
    """A clip as a content part; the name only hints at the kind, an emollm server goes by content."""
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror}.", code="not_found") from None
    mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    kind = mime.partition("/")[0]
    if mime in ("audio/x-wav", "audio/wav", "audio/mpeg"):
        return {"type": "input_audio", "input_audio": {"data": data, "format": "mp3" if mime == "audio/mpeg" else "wav"}}
    part = f"{kind}_url" if kind in ("image", "audio") else "video_url"
    return {"type": part, part: {"url": f"data:{mime};base64,{data}"}}
