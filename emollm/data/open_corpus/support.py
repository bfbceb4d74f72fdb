"""Dialogues of emotional support to samples: the supporter's replies with what was said before, and what the trouble is about."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from emollm.data.corpus import Item
from emollm.data.open_corpus.phrases import capital, fill, pool, spaced
from emollm.data.open_corpus.splits import split_of
from emollm.data.schema import HistoryTurn, Task, UnifiedSample

USEFUL = frozenset(
    {
        "Questions",
        "Affirmation and Reassurance",
        "Reflection of feelings",
        "Restatement or Paraphrasing",
        "Providing Suggestions",
        "Information",
    }
)  # "Self-disclosure" tells a life that an assistant does not have, "Other" is mostly greetings
SHORT, LONG = 40, 500  # characters of a reply
_FOUL = re.compile(r"\b(?:fuck\w*|shit\w*|bitch\w*|damn|homies|stupid|idiot|kill yourself|selfish)\b", re.IGNORECASE)
BEFORE = 7  # turns shown before it
_OF_A_PERSON = re.compile(
    r"\b(?:I am a (?:man|woman|mother|father|mom|dad)|my (?:husband|wife|kids?|son|daughter|mom|dad|friend|boss|job|own))\b", re.IGNORECASE
)
_SLIPS = re.compile(r"\b(?:typed twice|wrong chat|survey|quit button|end the (?:chat|conversation)|mturk|hit)\b", re.IGNORECASE)


def replies(item: Item, licence: str) -> Iterator[UnifiedSample]:
    """The replies of a dialogue that are worth learning; none of a dialogue that was rejected."""
    if item.extra.get("negative_example"):
        return
    turns = merged(item.extra.get("turns", ()))
    if any(role == "assistant" and _FOUL.search(text) for role, text, _ in turns):
        return
    for at, (role, text, plans) in enumerate(turns):
        if role != "assistant" or at == 0 or not plans <= USEFUL or not plans or not SHORT <= len(text) <= LONG:
            continue
        if _SLIPS.search(text) or _OF_A_PERSON.search(text):
            continue
        before = turns[max(0, at - BEFORE) : at]
        before = before[1:] if before[0][0] == "assistant" else before
        history = tuple(HistoryTurn(role="user" if r == "user" else "assistant", text=t) for r, t, _ in before)
        yield UnifiedSample(
            id=f"{item.corpus}/{item.id.partition(':')[2]}/{at}",
            corpus=item.corpus,
            split=split_of(item),
            history=history,
            reply=mended(text),
            language="en",
            tasks=(Task(type="empathy"),),
            level="interaction",
            licence=licence,
        )


def mended(text: str) -> str:
    """A reply with a large letter at its beginning and a large I; its words stay as they are."""
    whole = re.sub(r"\bi(?='(?:m|ve|ll|d)\b|\s)", "I", text)
    return spaced(capital(whole))


def trouble(item: Item, licence: str, rng: random.Random) -> UnifiedSample | None:
    """What the person's trouble is about, where the corpus says so."""
    book = pool("text")["problem"]
    problem = book["words"].get(str(item.extra.get("problem")))
    told = [t for role, t, _ in merged(item.extra.get("turns", ())) if role == "user"]
    text = " ".join(told)[:900]
    if problem is None or len(text) < 80 or not re.search(book["signs"][str(item.extra["problem"])], f" {text} ".casefold()):
        return None
    task = Task(type="question", question=fill(rng, book["ask"]), answer=fill(rng, book["answer"], problem=problem))
    return UnifiedSample(
        id=f"{item.corpus}/{item.id.partition(':')[2]}/problem",
        corpus=item.corpus,
        split=split_of(item),
        history=(HistoryTurn(role="user", text=text),),
        language="en",
        tasks=(task,),
        level="understanding",
        licence=licence,
    )


def merged(turns: Sequence[dict[str, str | None]]) -> list[tuple[str, str, frozenset[str]]]:
    """(role, text, strategies), with what one side says in a row as one turn; the same sentence twice is kept once."""
    found: list[tuple[str, list[str], set[str]]] = []
    for turn in turns:
        role = "user" if turn["role"] in ("seeker", "speaker") else "assistant"
        text = " ".join((turn["text"] or "").split())
        if not text:
            continue
        if not found or found[-1][0] != role:
            found.append((role, [], set()))
        if text not in found[-1][1]:
            found[-1][1].append(text)
        if turn["strategy"]:
            found[-1][2].add(turn["strategy"])
    return [(role, " ".join(texts), frozenset(plans)) for role, texts, plans in found]
