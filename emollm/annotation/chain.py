"""The chain: which agent is asked what of which clip, in which order; what is on record already is not asked again.

A key says all that decides a reply: the agent, its rules or its model and prompt, the clip's bytes, what the sample tells, and the keys
of the agents it reads. It is known before a clip is measured, so a run that goes on neither measures nor asks for what is done.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from emollm.annotation import prompts
from emollm.annotation.audio_agent import listen
from emollm.annotation.consolidate import consolidate
from emollm.annotation.endpoint import Answer, Chatty, Prices, question
from emollm.annotation.finding import AGENTS, BY_MODEL, OBSERVERS, READS, AgentName, Finding, finding_from
from emollm.annotation.items import Item
from emollm.annotation.peak import frame_at
from emollm.annotation.records import Record, Records
from emollm.annotation.transcript_agent import read
from emollm.annotation.units_agent import look_at_units
from emollm.annotation.verify import Measured, verify
from emollm.annotation.visual_agent import look
from emollm.errors import BackendError, DataError, EmollmError, unknown_name
from emollm.media.decode import digest_of
from emollm.values import Analysis

RULES = "rules-1"  # raise it whenever a local agent would say something else of the same clip
MOST_FAILURES = 5  # in a row; then the endpoint is taken to be down
_SEES = ("visual", "audio")  # agents that a clip may be sent to


@dataclass(frozen=True, slots=True)
class Settings:
    """How the agents work."""

    encoders: str  # identity of the encoders that measure
    by_model: tuple[AgentName, ...] = ()
    guided: bool = False
    tokens: int = 300  # most of one reply
    retries: int = 2
    send_clips: bool = False
    prices: Prices = field(default_factory=Prices)
    budget: float | None = None  # of all replies on record

    def __post_init__(self) -> None:
        for name in self.by_model:
            if name not in BY_MODEL:
                raise DataError(unknown_name("agent for a model", name, BY_MODEL))
        if self.budget is not None and (self.prices.prompt is None or self.prices.completion is None):
            raise DataError("a budget needs prices; give --price-in and --price-out, for a million tokens each.")


@dataclass(slots=True)
class Tally:
    """What a run did."""

    samples: int = 0  # looked at
    finished: int = 0  # their chain is through
    measured: int = 0
    calls: int = 0  # questions answered or failed, each with its tries
    failed: int = 0  # agents and clips
    stopped: str = ""  # why the run ended early


class _StopError(Exception):
    """The budget is spent."""


class Chain:
    """Walks items through the agents.

    Args:
        settings: How.
        records: Where replies are kept.
        measure: Measures a clip.
        backend: The model, where an agent is one.
        wait: How to pause between tries.
    """

    def __init__(
        self, settings: Settings, records: Records, measure: Callable[[Path], Analysis], backend: Chatty | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        if settings.by_model and backend is None:
            raise DataError(f"the agents {', '.join(settings.by_model)} are to be models, but there is no endpoint; give --endpoint.")
        self.settings, self.records = settings, records
        self._measure, self._backend, self._wait = measure, backend, wait
        self._keys: dict[str, dict[str, str]] = {}
        self._in_a_row = 0
        self._spent = sum(r.cost or 0.0 for r in records.all())
        self._unpriced = any(r.kind == "model" and r.cost is None for r in records.all())

    @property
    def model(self) -> str:
        """Model id of the agents that are models, with the version of its weights where that is told."""
        if self._backend is None:
            return ""
        return f"{self._backend.system}{f'@{v}' if (v := self._backend.version) else ''}"

    def keys(self, item: Item) -> dict[str, str]:
        """Key of every agent for one item.

        Raises:
            MediaError: If the clip cannot be read.
            DataError: If the sample has no media.
        """
        if item.id not in self._keys:
            if item.path is None:
                raise DataError(f"sample {item.id!r} has no media; the agents look at clips.")
            digest = digest_of(item.path)
            s, found = self.settings, dict[str, str]()
            for agent in AGENTS:
                told: list[object] = [agent, RULES, s.encoders, digest, self._label(item), item.transcript, item.language]
                if agent in s.by_model:
                    told += [self.model, prompts.template(agent), s.tokens, s.send_clips and agent in _SEES]
                told += [found[name] for name in READS[agent]]
                found[agent] = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
            self._keys[item.id] = found
        return self._keys[item.id]

    def _label(self, item: Item) -> str:
        return item.label if self.settings.guided else ""

    def missing(self, item: Item) -> list[AgentName]:
        """Agents with no reply on record for an item; all of them where its clip cannot be read."""
        try:
            keys = self.keys(item)
        except EmollmError:
            return list(AGENTS)
        return [agent for agent in AGENTS if self.records.find(item.id, agent, keys[agent]) is None]

    def found(self, item: Item) -> dict[str, Finding]:
        """What is on record for an item, by agent."""
        try:
            keys = self.keys(item)
        except EmollmError:
            return {}
        records = {a: self.records.find(item.id, a, keys[a]) for a in AGENTS}
        return {a: finding_from(r.finding) for a, r in records.items() if r is not None and r.finding is not None}

    def run(self, items: Sequence[Item], progress: Callable[[Item], None] | None = None) -> Tally:
        """Ask every agent what is not on record.

        Raises:
            BackendError: If the endpoint failed several times in a row; what was got until then is on record.
        """
        tally = Tally()
        for item in items:
            tally.samples += 1
            try:
                if self.missing(item):
                    self._one(item, tally)
            except _StopError as stop:
                tally.stopped = str(stop)
                break
            finally:
                tally.finished += not self.missing(item)
            if progress is not None:
                progress(item)
        return tally

    def _one(self, item: Item, tally: Tally) -> None:
        start = time.perf_counter()
        try:
            keys = self.keys(item)
            assert item.path is not None
            analysis = self._measure(item.path)
        except EmollmError as error:
            self.records.add(Record(item.id, "measure", "", "local", self._rules, seconds=_since(start), error=str(error)))
            tally.failed += 1
            return
        tally.measured += 1
        known = self.found(item)
        for agent in AGENTS:
            if agent in known:
                continue
            if any(name not in known for name in READS[agent]):
                break  # an agent before it failed; it is asked when that one has answered
            record = self._ask(agent, item, analysis, known, tally)
            self.records.add(replace(record, key=keys[agent]))
            if record.finding is not None:
                known[agent] = finding_from(record.finding)
            if self._in_a_row >= MOST_FAILURES:
                raise BackendError(
                    f"{MOST_FAILURES} questions in a row failed, the last with: {record.error} Run the same command again to go on."
                )

    @property
    def _rules(self) -> str:
        return f"emollm {RULES} {self.settings.encoders}".strip()

    def _ask(self, agent: AgentName, item: Item, analysis: Analysis, known: dict[str, Finding], tally: Tally) -> Record:
        start = time.perf_counter()
        label = self._label(item)
        local = self._local(agent, item, analysis, known)
        base = Record(item.id, agent, "", "local", self._rules, guided=label, finding=local.plain(), reply=local.text)
        if agent not in self.settings.by_model:
            return replace(base, seconds=_since(start))
        if not local.text and not local.checks:
            return replace(base, seconds=_since(start), notes=("there is nothing to look at, so the model was not asked",))
        self._hold_budget()
        seen = self._evidence(agent, item, analysis, known, local)
        words = Measured(analysis, item.transcript).text
        system, text = prompts.ask(agent, seen, words=words, guided=label)
        clips = (item.path,) if self.settings.send_clips and agent in _SEES and item.path is not None else ()
        assert self._backend is not None
        answer = question(
            self._backend, system, text, tokens=self.settings.tokens, retries=self.settings.retries, clips=clips, wait=self._wait
        )
        tally.calls += 1
        return self._recorded(base, agent, f"{system}\n\n{text}", answer, local, tally)

    def _evidence(
        self, agent: AgentName, item: Item, analysis: Analysis, known: Mapping[str, Finding], local: Finding
    ) -> dict[str, Finding]:
        """What a model is shown: of its own part what was measured, the chain's findings to join, everything measured to verify."""
        if agent == "visual":
            return {"face": local, "units": known["units"]}
        if agent == "audio":
            return {"voice": local}
        if agent == "transcript":
            return {"words": local}
        if agent == "consolidator":
            return {str(name): finding for name, finding in known.items()}
        return {**{str(n): self._local(n, item, analysis, {}) for n in OBSERVERS}, "consolidator": known["consolidator"]}

    def _recorded(self, base: Record, agent: AgentName, prompt: str, answer: Answer, local: Finding, tally: Tally) -> Record:
        cost = self.settings.prices.of(answer.prompt_tokens, answer.completion_tokens)
        record = replace(
            base, kind="model", model=self.model, prompt_hash=prompts.template_hash(agent), prompt=prompt, reply=answer.text, finding=None,
            prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens, cost=cost, seconds=round(answer.seconds, 3),
            tries=answer.tries, error=answer.error,
        )  # fmt: skip
        if answer.error:
            tally.failed += 1
            self._in_a_row += 1
            return record
        self._in_a_row = 0
        self._spent += cost or 0.0
        self._unpriced |= cost is None
        finding, notes = prompts.judged(answer.text, local) if agent == "verifier" else prompts.heard(answer.text)
        if agent == "consolidator":
            finding = replace(finding, peak_s=local.peak_s)
        if answer.cut:
            notes = (*notes, f"cut off after {self.settings.tokens} tokens")
        if self.settings.budget is not None and cost is None:
            notes = (*notes, "the endpoint tells no tokens, so the budget cannot be held")
        return replace(record, finding=finding.plain(), notes=notes)

    def _hold_budget(self) -> None:
        budget = self.settings.budget
        if budget is not None and self._spent >= budget:
            raise _StopError(f"the replies on record cost {self._spent:.4f}, which is the budget of {budget:g}")
        if budget is not None and self._unpriced:
            raise _StopError("a budget was given, but replies are on record whose cost is not known")

    def _local(self, agent: AgentName, item: Item, analysis: Analysis, known: Mapping[str, Finding]) -> Finding:
        if agent == "units":
            finding = look_at_units(analysis, self._label(item))
            video = analysis.kind == "video" and item.path is not None and "video" in item.row.get("media", {})
            if finding.peak_s is not None and video and item.path is not None:
                return replace(finding, peak_frame=frame_at(item.path, finding.peak_s))
            return finding
        if agent == "visual":
            return look(analysis)
        if agent == "audio":
            return listen(analysis)
        if agent == "transcript":
            return read(analysis, item.transcript, item.language)
        if agent == "consolidator":
            return consolidate(known)
        return verify(known["consolidator"].text, Measured(analysis, item.transcript))


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)
