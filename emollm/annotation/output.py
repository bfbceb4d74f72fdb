"""Findings to samples: descriptions with their origin, the peak frame, and what people decided about them.

What a person wrote or accepted stays; a machine's text is replaced by the newer one. A peak frame that a sample has is left as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emollm.annotation.chain import Chain
from emollm.annotation.decisions import ACCEPTED, HUMAN, Decision, text_hash
from emollm.annotation.finding import Finding
from emollm.annotation.items import Item
from emollm.annotation.records import Record
from emollm.data.schema import UnifiedSample, told

# agent -> the description it writes; the transcript agent's text goes into the whole
_PLACES = {"units": "units", "visual": "visual", "audio": "audio", "verifier": "multimodal"}


@dataclass(slots=True)
class Written:
    """What came of the items."""

    samples: list[UnifiedSample] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # id -> why
    reviewed: int = 0
    stale: list[str] = field(default_factory=list)  # decisions about another text than the one that stands there


def assemble(items: Sequence[Item], chain: Chain, decisions: Mapping[str, Decision], *, keep_unchecked: bool = False) -> Written:
    """Samples whose chain is through.

    Args:
        items: The input.
        chain: Whose records are used.
        decisions: Of people, by sample; the last counts.
        keep_unchecked: Let sentences stand that cannot be measured; those that are not borne out are always left out.
    """
    written = Written()
    errors = {r.sample: f"{r.agent}: {r.error}" for r in chain.records.failures()}
    for item in items:
        if missing := chain.missing(item):
            written.left_out[item.id] = errors.get(item.id, f"not asked yet: {', '.join(missing)}")
            continue
        found = chain.found(item)
        keys = chain.keys(item)
        records = {a: chain.records.find(item.id, a, keys[a]) for a in found}
        row = dict(item.row)
        row["descriptions"] = _described(row.get("descriptions", {}), found, records, keep_unchecked=keep_unchecked)
        decision = decisions.get(item.id)
        if decision is not None:
            if _decide(row, decision):
                written.reviewed += 1
            else:
                written.stale.append(item.id)
        units = found.get("units")
        if units is not None and units.peak_frame is not None:
            row.setdefault("peak_frame", units.peak_frame)
        try:
            written.samples.append(UnifiedSample.model_validate_json(_json(row)))
        except ValidationError as error:
            written.left_out[item.id] = "; ".join(told(error))
    return written


def _described(
    old: Mapping[str, Any], found: Mapping[str, Finding], records: Mapping[str, Record | None], *, keep_unchecked: bool
) -> dict[str, Any]:
    """The descriptions of a row with the agents' own in place of other machines'."""
    new = dict(old)
    for agent, place in _PLACES.items():
        finding, record = found.get(agent), records.get(agent)
        if finding is None or record is None or _by_people(old.get(place)):
            continue
        text = checked_text(finding, keep_unchecked=keep_unchecked) if agent == "verifier" else finding.text
        if text:
            writer = records.get("consolidator") if agent == "verifier" else record
            new[place] = {"text": text, "origin": origin(agent, writer or record)}
        else:
            new.pop(place, None)
    return new


def checked_text(finding: Finding, *, keep_unchecked: bool = False) -> str:
    """What stays of a text after its check."""
    stays = ("supported", "unchecked") if keep_unchecked else ("supported",)
    return " ".join(s for s, status, _ in finding.checks if status in stays)


def origin(agent: str, record: Record) -> str:
    """Who wrote a description: model or rules, agent, and whether it was told the label."""
    prompt = f", prompt {record.prompt_hash}" if record.prompt_hash else ""
    role = "consolidator, verified" if agent == "verifier" else agent
    return f"{record.model} ({role}{prompt}{f', guided by {record.guided}' if record.guided else ''})"


def _by_people(description: Mapping[str, Any] | None) -> bool:
    return description is not None and (description["origin"] == HUMAN or description["origin"].endswith(ACCEPTED))


def _decide(row: dict[str, Any], decision: Decision) -> bool:
    """Put a decision into a row; False where it was made about another text."""
    old = row["descriptions"].get("multimodal")
    if old is None or text_hash(old["text"]) != decision.of:
        return False
    if decision.decision == "reject":
        del row["descriptions"]["multimodal"]
    elif decision.decision == "correct":
        row["descriptions"]["multimodal"] = {"text": decision.text, "origin": HUMAN}
    elif not _by_people(old):
        row["descriptions"]["multimodal"] = {"text": old["text"], "origin": old["origin"] + ACCEPTED}
    return True


def _json(row: Mapping[str, Any]) -> bytes:
    return json.dumps({k: v for k, v in row.items() if not (k == "descriptions" and not v)}, ensure_ascii=False).encode()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A file, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
