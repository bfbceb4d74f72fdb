"""The judge behind an OpenAI-compatible endpoint: a pinned model at temperature 0 that has to answer in strict JSON.

A reply of another form is asked for again; what still cannot be read is a failure, which is counted and scored as neutral.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from emollm.chat.backend import Reply
from emollm.errors import BackendError, EmollmError
from emollm.evaluation.events import Movement
from emollm.evaluation.judges.overlap import Kind
from emollm.evaluation.judges.records import Records, key_of
from emollm.evaluation.judges.verdict import Verdict
from emollm.evaluation.judges.wording import phrase
from emollm.values import Message, Sampling

TRIES = 3
TOKENS_A_CLAIM, TOKENS = 40, 60
SYSTEM = (
    "You compare two descriptions of one face. The first is given as numbered events, the second as numbered claims. Decide each claim: "
    '"entailed" if one or more events say the same movement of the same part in the same direction, at a time and on a side that agree '
    'where both are told; "contradicted" if an event says the opposite movement of the same part at that time; "neutral" otherwise. '
    "Strength does not matter. Answer with one JSON object and nothing else: "
    '{"verdicts": [{"claim": 1, "verdict": "entailed", "by": [2]}]}. '
    '"by" lists the events that entail the claim and is empty unless the verdict is "entailed". Give every claim once, in order.'
)

_SAME = 'Answer with one JSON object and nothing else: {"overlap": N}, N a whole number from 0 (nothing) to 10 (all of it).'
OVERLAP: dict[Kind, str] = {
    "clues": "Two texts describe the emotion of one person in one clip. Say how much of the evidence that the first gives (face, voice, "
    f"words, situation) the second gives as well, and whether it reads it the same way. {_SAME}",
    "emotion": "Two texts describe the emotion of one person in one clip. Reduce each to the emotions the person really feels by it, then "
    f"say how far the two agree; a feeling that is hidden counts, not what is only shown. {_SAME}",
}


class Chatty(Protocol):
    """What answers."""

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """Answer the last message."""
        ...


def endpoint_judge(url: str | None, model: str | None, records: Path | None, *, replay: bool) -> EndpointJudge:
    """The judge at an address, or in its records.

    Raises:
        EmollmError: The address, the model or the records are not given.
    """
    if model is None:
        raise EmollmError("--judge endpoint needs --judge-model, the exact id of the model, or its verdicts could not be compared.")
    if replay:
        if records is None or not records.is_file():
            raise EmollmError("--replay needs --judge-records FILE, as an earlier run wrote it.")
        return EndpointJudge(None, model, Records(records))
    if url is None:
        raise EmollmError("--judge endpoint needs --judge-url, e.g. http://127.0.0.1:8000/v1.")
    from emollm.chat.remote import RemoteBackend

    return EndpointJudge(RemoteBackend(url, model=model), model, Records(records))


class EndpointJudge:
    """Judges all claims of a caption in one request.

    Args:
        backend: What answers; None to take replies from the records alone.
        model: Its exact id.
        records: Of earlier replies, which are not asked for again.

    Attributes:
        failures: Requests without a verdict that could be read.
        asked: Requests that were really sent.
    """

    def __init__(self, backend: Chatty | None, model: str, records: Records) -> None:
        self._backend, self._model, self._records = backend, model, records
        self.name = f"endpoint {model}"
        self.failures = self.asked = 0

    def judge(self, premises: Sequence[Movement], claims: Sequence[Movement]) -> list[Verdict]:
        """See Judge.

        Raises:
            EmollmError: The records lack the reply and nobody may be asked.
        """
        if not premises or not claims:
            return [Verdict("neutral") for _ in claims]
        messages = [Message("system", SYSTEM), Message("user", _question(premises, claims))]
        for _ in range(TRIES):
            said = self._reply(messages, TOKENS + TOKENS_A_CLAIM * len(claims))
            try:
                return read_verdicts(said, len(premises), len(claims))
            except ValueError as fault:
                again = f"That was not the JSON asked for: {fault}. Answer with the JSON object alone."
                messages = [*messages, Message("assistant", said or "(nothing)"), Message("user", again)]
        self.failures += 1
        return [Verdict("neutral", failed=True) for _ in claims]

    def overlap(self, kind: Kind, reference: str, answer: str) -> int | None:
        """See `overlap.Overlaps`; an empty answer shares nothing and is not asked about.

        Raises:
            EmollmError: The records lack the reply and nobody may be asked.
        """
        if not answer.strip():
            return 0
        messages = [Message("system", OVERLAP[kind]), Message("user", f"First:\n{reference}\n\nSecond:\n{answer}")]
        for _ in range(TRIES):
            said = self._reply(messages, TOKENS)
            found = re.fullmatch(r'(?:```(?:json)?)?\s*\{\s*"overlap"\s*:\s*(\d{1,2})\s*\}\s*(?:```)?', said.strip())
            if found is not None and int(found[1]) <= 10:
                return int(found[1])
            messages = [*messages, Message("assistant", said or "(nothing)"), Message("user", f"That was not the JSON asked for. {_SAME}")]
        self.failures += 1
        return None

    def _reply(self, messages: Sequence[Message], tokens: int) -> str:
        key = key_of(self._model, messages)
        known = self._records.find(key)
        if known is not None:
            return str(known["reply"])
        if self._backend is None:
            raise EmollmError(f"the records lack a reply of {self._model} that this run needs; run once without --replay.")
        self.asked += 1
        row: dict[str, Any] = {"key": key, "model": self._model, "messages": [[m.role, m.text] for m in messages]}
        try:
            said = self._backend.reply(messages, Sampling(max_new_tokens=tokens, repetition_penalty=1.0)).text()
        except BackendError as error:
            if error.code in {"model_not_found", "invalid_api_key"}:
                raise
            return f"(error: {error})"  # may pass, so it is not written down
        self._records.add({**row, "reply": said})
        return said


def _question(premises: Sequence[Movement], claims: Sequence[Movement]) -> str:
    events = "\n".join(f"{k}. {phrase(m)}" for k, m in enumerate(premises, 1))
    told = "\n".join(f"{k}. {phrase(m)}" for k, m in enumerate(claims, 1))
    return f"Events:\n{events}\n\nClaims:\n{told}"


def read_verdicts(text: str, premises: int, claims: int) -> list[Verdict]:
    """Verdicts out of a reply.

    Raises:
        ValueError: Saying what is wrong with it.
    """
    body = re.sub(r"^```(?:json)?\s*|\s*```$", "", text.strip())
    try:
        rows = json.loads(body)["verdicts"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ValueError('no JSON object with "verdicts"') from None
    if not isinstance(rows, list) or len(rows) != claims:
        raise ValueError(f"{len(rows) if isinstance(rows, list) else 'no list of'} verdicts for {claims} claims")
    found = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or row.get("claim") != number:
            raise ValueError(f"verdict {number} is not of claim {number}")
        verdict, by = row.get("verdict"), row.get("by", [])
        if verdict not in {"entailed", "contradicted", "neutral"}:
            raise ValueError(f"claim {number} has the verdict {verdict!r}")
        if not isinstance(by, list) or not all(type(k) is int and 1 <= k <= premises for k in by) or (verdict == "entailed") != bool(by):
            raise ValueError(f'claim {number} has a faulty "by"')
        found.append(Verdict(verdict, tuple(k - 1 for k in by)))
    return found
