"""Labelled sentences and lines of dialogue to samples: emotions, polarity, and how somebody's feelings go on through a dialogue."""

from __future__ import annotations

import ast
import itertools
import random
from collections.abc import Container, Iterator, Sequence

from emollm.data.corpus import Item
from emollm.data.open_corpus.phrases import fill, listed, pool, spaced
from emollm.data.open_corpus.splits import split_of
from emollm.data.schema import HistoryTurn, Task, UnifiedSample

CONTEXT = 5  # lines of a dialogue before the one asked about
FOLLOWED = 14  # lines of a dialogue that a question about its course is asked over
POLARITIES = ("positive", "negative", "neutral")


def sentence(item: Item, labels: Sequence[str], licence: str) -> UnifiedSample | None:
    """A sentence with several labels, such as those of GoEmotions."""
    given = tuple(dict.fromkeys(item.extra.get("labels") or ([item.label] if item.label else [])))
    if not given or not item.text:
        return None
    tasks = [Task(type="multi-label", labels=given, label_set=tuple(labels))]
    if (polarity := _polarity(item.corpus, given)) is not None:
        tasks.append(Task(type="sentiment", label=polarity, label_set=POLARITIES))
    return UnifiedSample(
        id=f"{item.corpus}/{item.id.partition(':')[2]}",
        corpus=item.corpus,
        split=split_of(item),
        transcript=spaced(unquoted(item.text)),
        language="en",
        tasks=tuple(tasks),
        level="perception",
        licence=licence,
    )


def unquoted(text: str) -> str:
    """A text without the quotation marks that a table put around and into it."""
    whole = text.strip()
    if len(whole) > 1 and whole[0] == whole[-1] == '"' and '""' in whole[1:-1]:
        whole = whole[1:-1]
    return whole.replace('""', '"').strip() or text


def _polarity(corpus: str, labels: Sequence[str]) -> str | None:
    """The polarity that all labels share, by the published table; None where they differ or have none."""
    table = pool("text")["polarity"].get(corpus, {})
    found = {name for name, those in table.items() for label in labels if label in those}
    covered = all(any(label in those for those in table.values()) for label in labels)
    return found.pop() if len(found) == 1 and covered else None


def dialogue(
    lines: Sequence[Item], labels: Sequence[str], licence: str, rng: random.Random, *, told: Container[str] = ()
) -> Iterator[UnifiedSample]:
    """Every line of a dialogue with those before it, and up to three questions about its course; lines of `told` are context only."""
    for at, line in enumerate(lines):
        if not line.text or line.label is None or line.id in told:
            continue
        tasks = [Task(type="emotion", label=line.label, label_set=tuple(labels))]
        polarity = line.extra.get("sentiment") or _polarity(line.corpus, [line.label])
        if polarity is not None:
            tasks.append(Task(type="sentiment", label=polarity, label_set=POLARITIES))
        before = lines[max(0, at - CONTEXT) : at]
        yield UnifiedSample(
            id=f"{line.corpus}/{line.id.partition(':')[2]}",
            corpus=line.corpus,
            split=split_of(line),
            transcript=f"{name_of(line)}: {spaced(line.text)}",
            history=_history(before),
            language="en",
            tasks=tuple(tasks),
            level="perception",
            licence=licence,
        )
    if all(line.id in told for line in lines[:FOLLOWED]):
        return
    for number, (question, answer) in enumerate(_course(lines[:FOLLOWED], rng)):
        first = lines[0]
        yield UnifiedSample(
            id=f"{first.corpus}/{first.extra.get('dialogue', first.id).partition(':')[2]}/course-{number}",
            corpus=first.corpus,
            split=split_of(first),
            history=_history(lines[:FOLLOWED]),
            language="en",
            tasks=(Task(type="question", question=question, answer=answer),),
            level="understanding",
            licence=licence,
        )


def _history(lines: Sequence[Item]) -> tuple[HistoryTurn, ...]:
    """Lines of several people as one turn, for the roles of a history are two."""
    told = "\n".join(f"{name_of(line)}: {spaced(line.text)}" for line in lines if line.text)
    return (HistoryTurn(role="user", text=told),) if told else ()


def name_of(item: Item) -> str:
    """Who says a line: "Monica Geller", or several names where several say it."""
    name = (item.speaker or "Somebody").partition(":")[2] or (item.speaker or "Somebody")
    if name.startswith("["):
        try:
            name = listed([str(n) for n in ast.literal_eval(name)]) or "Somebody"
        except (ValueError, SyntaxError):
            return name
    return "Everybody" if "#ALL#" in name else name


def _course(lines: Sequence[Item], rng: random.Random) -> Iterator[tuple[str, str]]:
    book = pool("text")
    names = book["names"]
    by: dict[str, list[Item]] = {}
    for line in lines:
        if line.text and line.label in names:
            by.setdefault(name_of(line), []).append(line)
    # A question about somebody's course needs enough lines, and every one of them labelled.
    known = {
        name: said
        for name, said in by.items()
        if len(said) > 2 and name not in ("Somebody", "Everybody", "All", "Both") and " and " not in name
    }
    for name in rng.sample(sorted(known), min(1, len(known))):
        said = known[name]
        path = [names[k] for k, _ in itertools.groupby(line.label for line in said)]
        words = {"name": name, "first": path[0], "path": f"{path[0]} to {', then '.join(path[1:])}", "rest": ", then ".join(path[1:])}
        if len(path) <= 5:
            yield fill(rng, book["follow"]["ask"], **words), fill(rng, book["follow"]["same" if len(path) == 1 else "change"], **words)
        turns = [i for i in range(1, len(said)) if said[i].label != said[i - 1].label]
        if len(turns) == 1 and rng.random() < 0.7:
            at = turns[0]
            words = {"name": name, "line": spaced(said[at].text or ""), "before": names[said[at - 1].label], "after": names[said[at].label]}
            yield fill(rng, book["turning"]["ask"], **words), fill(rng, book["turning"]["answer"], **words)
    pairs = sorted(known)
    if len(pairs) > 1 and rng.random() < 0.5:
        one, other = rng.sample(pairs, 2)
        ends = [names[known[n][-1].label] for n in (one, other)]
        words = {"name": one, "other": other, "first": ends[0], "second": ends[1]}
        yield fill(rng, book["compare"]["ask"], **words), fill(rng, book["compare"]["same" if ends[0] == ends[1] else "differ"], **words)
