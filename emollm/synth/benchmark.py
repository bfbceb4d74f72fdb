"""Frozen sets of clips: their settings by name, and hashes that tell whether a set made here is the same."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emollm.errors import EmollmError, unknown_name
from emollm.synth.book import book
from emollm.synth.clip import Settings
from emollm.synth.dataset import read_truth
from emollm.synth.turns import Split

_DECIDED = ("person", "main", "speaks", "events", "text", "text_emotion", "words", "emotions", "masked", "prosody", "covered_s")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One split of a frozen set."""

    name: str
    version: int
    settings: Settings
    clips: int
    plan: str | None  # hashes of the set as it was first made; None where it never was whole
    bytes: str | None


def benchmark(name: str, split: Split) -> Benchmark:
    """Look a frozen set up.

    Raises:
        EmollmError: Nobody froze a set of that name.
    """
    known = book("benchmarks")
    if name not in known:
        raise EmollmError(unknown_name("benchmark", name, known))
    row = known[name]
    settings = Settings(
        seed=row["seed"], people=row["people"], persons=tuple(row["persons"]), seconds=tuple(row["seconds"]), fps=row["fps"],
        size=row["size"], voices=row["voices"], split=split,
    )  # fmt: skip
    mine = row[split]
    return Benchmark(name, row["version"], settings, mine["clips"], mine.get("plan"), mine.get("bytes"))


def hashes(out: Path, split: Split, clips: int) -> tuple[str, str]:
    """SHA-256 of what was decided before rendering, and of the bytes of all files, of the first `clips` clips in `out`."""
    decided, whole = hashlib.sha256(), hashlib.sha256()
    for path in sorted((out / "truth").glob(f"{split}-*.json.gz"))[:clips]:
        truth = read_truth(path)
        decided.update(json.dumps(plan_of(truth), sort_keys=True).encode())
        clip = (out / "clips" / f"{truth['name']}.mp4").read_bytes()
        for content in (gzip.decompress(path.read_bytes()), clip):  # versions of zlib pack the same text differently
            whole.update(hashlib.sha256(content).digest())
    return decided.hexdigest(), whole.hexdigest()


def plan_of(truth: dict[str, Any]) -> dict[str, Any]:
    """The part of a truth that no pixel has a share in."""
    people = [{k: person[k] for k in _DECIDED} for person in truth["people"]]
    return {"name": truth["name"], "seconds": truth["seconds"], "people": people}


def verdict(frozen: Benchmark, out: Path) -> str:
    """One line: the same set, the same people and events in other pixels, or another set."""
    plan, whole = hashes(out, frozen.settings.split, frozen.clips)
    title = f"{frozen.name} {frozen.settings.split}, version {frozen.version}"
    if frozen.plan is None:
        return f"{title}: no hash is frozen for it; plan {plan}, bytes {whole}."
    if plan != frozen.plan:
        return f"{title}: NOT the frozen set, events or words differ (plan {plan}). Another version of espeak-ng or of emollm?"
    if whole != frozen.bytes:
        return f"{title}: the frozen people, events and words; other bytes, as other processors and library versions give ({whole})."
    return f"{title}: the frozen set, bit for bit."
