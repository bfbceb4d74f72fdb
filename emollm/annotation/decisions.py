"""What people decided about descriptions: one JSON line each, about a text that is named by its hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from emollm.errors import DataError, unknown_name

HUMAN = "human"
ACCEPTED = "; accepted by a person"  # behind the origin of a text that a machine wrote and a person let stand
Choice = Literal["accept", "correct", "reject"]


@dataclass(frozen=True, slots=True)
class Decision:
    """About the whole description of one sample."""

    sample: str
    decision: Choice
    of: str  # hash of the text that was looked at
    text: str = ""  # the person's own, where corrected


def text_hash(text: str) -> str:
    """What a decision names a text by; the review page gets it with each sample, so it needs no hashing of its own."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_decisions(path: Path) -> dict[str, Decision]:
    """Decisions by sample; the last about a sample counts.

    Raises:
        DataError: With every faulty line.
    """
    found: dict[str, Decision] = {}
    faults = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}. Give the file that the review page saved.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            decision = Decision(str(row["sample"]), row["decision"], str(row["of"]), " ".join(str(row.get("text") or "").split()))
        except (ValueError, KeyError, TypeError) as error:
            faults.append(f"line {number}: {type(error).__name__} {error}")
            continue
        if decision.decision not in get_args(Choice):
            faults.append(f"line {number}: {unknown_name('decision', str(decision.decision), get_args(Choice))}")
        elif decision.decision == "correct" and not decision.text:
            faults.append(f"line {number}: {decision.sample!r} is to be corrected, but there is no text")
        else:
            found[decision.sample] = decision
    if faults:
        raise DataError(f"{path} has {len(faults)} faulty line(s): {'; '.join(faults[:5])}.")
    return found


def merge(new: dict[str, Decision], kept: Path) -> dict[str, Decision]:
    """Add decisions to those kept beside an output; returns all of them."""
    known = read_decisions(kept) if kept.is_file() else {}
    known |= new
    part = kept.with_name(f".{kept.name}.part")
    part.write_text("".join(json.dumps(asdict(d), ensure_ascii=False) + "\n" for d in known.values()), "utf-8")
    part.replace(kept)
    return known
