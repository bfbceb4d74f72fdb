"""The card of a built corpus: what its files hold, counted, what was left out and what it is not fit for; JSON, and a page from it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emollm.data.schema import LEVELS, UnifiedSample, parse_sample

SYNTHETIC = "synth-clips"  # made by a renderer
PAIRED = "paired"  # real media, but not of one moment
_SHOWN = 30  # labels of a corpus on the page; card.json has all


class Card:
    """Counts samples as they come."""

    def __init__(self) -> None:
        self.samples: Counter[tuple[str, str]] = Counter()  # corpus, split
        self.levels: Counter[tuple[str, str]] = Counter()  # level, split
        self.tasks: Counter[tuple[str, str]] = Counter()  # task, corpus
        self.labels: Counter[tuple[str, str, str]] = Counter()  # corpus, task, label
        self.languages: Counter[str] = Counter()
        self.licences: Counter[tuple[str, str]] = Counter()
        self.speakers: dict[str, set[str]] = {}
        self.lengths: dict[str, Counter[int]] = {}
        self.texts: Counter[str] = Counter()
        self.openings: Counter[str] = Counter()

    def add(self, sample: UnifiedSample) -> None:
        """Count one."""
        self.samples[sample.corpus, sample.split] += 1
        self.levels[sample.level, sample.split] += 1
        self.languages[sample.language or "none"] += 1
        self.licences[sample.corpus, sample.licence] += 1
        if sample.speaker is not None:
            self.speakers.setdefault(f"{sample.corpus} {sample.split}", set()).add(sample.speaker)
        if sample.transcript is not None:
            self._long("transcript", sample.transcript)
        for task in sample.tasks:
            self.tasks[task.type, sample.corpus] += 1
            for label in (task.label,) if task.label is not None else task.labels:
                self.labels[sample.corpus, task.type, label] += 1
        for kind, text in written(sample):
            self._long(kind, text)
            self.texts[text] += 1
            self.openings[" ".join(text.split()[:3])] += 1

    def _long(self, kind: str, text: str) -> None:
        self.lengths.setdefault(kind, Counter())[len(text.split())] += 1

    def values(self) -> dict[str, Any]:
        """Everything as plain values."""
        total = sum(self.samples.values())
        synthetic = sum(n for (corpus, _), n in self.samples.items() if corpus == SYNTHETIC)
        answers = sum(self.texts.values())
        return {
            "samples": total,
            "tasks": sum(self.tasks.values()),
            "by_split": _sums(self.samples, 1),
            "by_level": {level: {s: self.levels[level, s] for s in ("train", "val")} for level in LEVELS},
            "by_task": _sums(self.tasks, 0),
            "by_corpus": {c: {s: self.samples[c, s] for s in ("train", "val")} for c in sorted({c for c, _ in self.samples})},
            "tasks_by_corpus": {
                c: {t: n for (t, k), n in sorted(self.tasks.items()) if k == c} for c in sorted({c for _, c in self.tasks})
            },
            "labels": self._label_table(),
            "languages": dict(self.languages.most_common()),
            "licences": {
                c: _sums(Counter({(t, ""): n for (k, t), n in self.licences.items() if k == c}), 0)
                for c in sorted({c for c, _ in self.licences})
            },
            "speakers": {k: len(v) for k, v in sorted(self.speakers.items())},
            "lengths_in_words": {k: quantiles(v) for k, v in sorted(self.lengths.items())},
            "answers": {"all": answers, "different": len(self.texts), "most_frequent": dict(self.texts.most_common(12))},
            "synthetic_share": round(synthetic / max(1, total), 4),
            "paired_share": round(sum(n for (c, _), n in self.samples.items() if c == PAIRED) / max(1, total), 4),
        }

    def _terms(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for (corpus, terms), n in sorted(self.licences.items()):
            found.setdefault(corpus, {})[terms] = n
        return found

    def _label_table(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for corpus, task in sorted({(c, t) for c, t, _ in self.labels}):
            counts = {label: n for (c, t, label), n in self.labels.most_common() if (c, t) == (corpus, task)}
            found.setdefault(corpus, {})[task] = {"counts": counts, **balance(counts)}
        return found


def written(sample: UnifiedSample) -> Iterable[tuple[str, str]]:
    """What a sample teaches to write, with its kind."""
    for task in sample.tasks:
        if task.type == "question" and task.answer is not None:
            yield "answer", task.answer
    for name in sample.descriptions.given():
        yield "reason" if name == "multimodal" else f"description {name}", getattr(sample.descriptions, name).text
    if sample.reply is not None:
        yield "reply", sample.reply


def balance(counts: Mapping[str, int]) -> dict[str, float]:
    """Entropy as a share of that of equal classes, and the largest class over the smallest."""
    total = sum(counts.values())
    entropy = -sum(n / total * math.log(n / total) for n in counts.values() if n)
    most = math.log(len(counts)) if len(counts) > 1 else 1.0
    return {"evenness": round(entropy / most, 3), "largest_over_smallest": round(max(counts.values()) / min(counts.values()), 1)}


def quantiles(lengths: Mapping[int, int]) -> dict[str, float]:
    """Count, mean, and the lengths below which 5, 25, 50, 75 and 95 in 100 lie."""
    total = sum(lengths.values())
    found: dict[str, float] = {"count": total, "mean": round(sum(k * n for k, n in lengths.items()) / total, 1)}
    for share in (5, 25, 50, 75, 95):
        below = 0
        for length in sorted(lengths):
            below += lengths[length]
            if below * 100 >= share * total:
                found[f"p{share}"] = length
                break
    return found


def _sums(counts: Mapping[tuple[str, str], int], place: int) -> dict[str, int]:
    found: Counter[str] = Counter()
    for key, n in counts.items():
        found[key[place]] += n
    return dict(found.most_common())


def count(paths: Sequence[Path]) -> Card:
    """The card of some files."""
    card = Card()
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                card.add(parse_sample(line))
    return card


def write(out: Path, command: str, seconds: float, notes: Mapping[str, Any]) -> Path:
    """Count train.jsonl and val.jsonl of a folder and write card.json and card.md beside them.

    Args:
        out: The folder.
        command: That made them.
        seconds: It took.
        notes: "dropped", "refused", "checked", "clips" of the build and "left_out", corpus -> why.
    """
    values = {"command": command, "seconds": round(seconds, 1), **count([out / "train.jsonl", out / "val.jsonl"]).values(), **notes}
    for name, text in (("card.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n"), ("card.md", page(values))):
        part = out / f"{name}.part"
        part.write_text(text, "utf-8")
        part.replace(out / name)
    return out / "card.md"


def page(values: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    lines = [
        "# Open corpus",
        "",
        f"Made by `{values['command']}` in {values['seconds']:.0f} s.",
        "",
        f"{values['samples']:,} samples with {values['tasks']:,} tasks. {values['synthetic_share']:.1%} are of rendered people,",
        f"{values['paired_share']:.1%} are a real face and a real voice paired by us. How to read and make this: docs/open_corpus.md.",
        "",
        "## Levels and tasks",
        "",
        *_table(("level", "train", "val"), [(k, v["train"], v["val"]) for k, v in values["by_level"].items()]),
        "",
        *_table(("task", "count"), values["by_task"].items()),
        "",
        "## Corpora",
        "",
        *_table(
            ("corpus", "train", "val", "tasks", "licence"),
            [
                (c, v["train"], v["val"], _counted(values["tasks_by_corpus"][c]), _licence(values["licences"][c]))
                for c, v in values["by_corpus"].items()
            ],
        ),
        "",
        *[f"- left out, {name}: {why}." for name, why in values.get("left_out", {}).items()],
        "",
        "## Labels and balance",
        "",
        "Evenness is entropy over that of equal classes; ratio is the largest class over the smallest.",
        "",
        *_table(
            ("corpus", "task", "evenness", "ratio", "labels"),
            [
                (c, t, v["evenness"], v["largest_over_smallest"], _labels(v["counts"]))
                for c, rows in values["labels"].items()
                for t, v in rows.items()
            ],
        ),
        "",
        "## Languages and people",
        "",
        *_table(("language", "samples"), values["languages"].items()),
        "",
        *_table(("corpus and split", "speakers or sitters"), values["speakers"].items()),
        "",
        "Nobody named here is in both splits. MELD and EmoryNLP keep their official splits, which share the characters of their series,",
        "so their samples name no speaker outside the text.",
        "",
        "## Lengths in words",
        "",
        *_table(
            ("text", "count", "mean", "p5", "p25", "p50", "p75", "p95"), [(k, *v.values()) for k, v in values["lengths_in_words"].items()]
        ),
        "",
        f"Of {values['answers']['all']:,} answers, descriptions and replies {values['answers']['different']:,} differ. Most frequent:",
        "",
        *[f"- {n} x {text}" for text, n in values["answers"]["most_frequent"].items()],
        "",
        "## Duplicates",
        "",
        "Same bytes, or same text after the same lines; what two splits share is dropped from train.",
        "",
        *(_table(("where", "dropped"), sorted(values["dropped"].items())) if values["dropped"] else ["None were found."]),
        "",
        "## Texts about rendered clips",
        "",
        f"{values['checked']:,} texts about {values['clips']:,} clips were read back and held against the truth of every frame; "
        f"{sum(values['refused'].values()):,} were refused and are not in the files.",
        "",
        *(_table(("text and fault", "refused"), sorted(values["refused"].items(), key=lambda kv: -kv[1])) if values["refused"] else []),
        "",
        _LIMITS,
    ]
    return "\n".join(lines)


def _counted(tasks: Mapping[str, int]) -> str:
    return ", ".join(f"{task} {n:,}" for task, n in tasks.items())


def _licence(terms: Mapping[str, int]) -> str:
    return next(iter(terms)) if len(terms) == 1 else "those of both corpora of a pair"


def _labels(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {n:,}" for name, n in list(counts.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else "")


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    body = [[f"{v:,}" if isinstance(v, int) else str(v) for v in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *body)]


_LIMITS = """## What it cannot be used for

- Commercial products: RAVDESS, ESConv and others are for non-commercial or research use; the terms of each corpus stand above.
- Showing or passing on faces: images of FER+ and mux come from the web, news and films. Only the London set may be shown, with credit.
- Claims about real audio-visual behaviour: no real face and voice here are of one moment. `paired` is put together by us, `synth-clips`
  is rendered, and the moods of its voices are rules of ours: a score on them says nothing about people.
- Statements about single movements of real faces: for photographs there are only labels and votes of the crowd, and nothing more is taught.
- Rare feelings: contempt, disgust and fear are a few hundred faces at most, and in mux a single person's opinion.
- Chains of empathy about real people: the support dialogues come without emotion and situation, so chains stand only at rendered clips.
- Diagnosis, lie detection, or telling who somebody is. Labels are of expressions shown, most of them acted or judged by strangers.

## How natural it reads

Labels and dialogues are people's own. All else is written by rules from pools of sentences (instruct_data/open): checked against labels
and truth, varied in shape, but plain. Read in a row, the questions about rendered clips show their pools, and the replies to rendered
people are short and of one voice.
"""
