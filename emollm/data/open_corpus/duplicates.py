"""Items that come twice: the same bytes of a face or voice, the same text after the same lines, or a long line of some val split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b

from emollm.data.corpus import Item
from emollm.data.texts import dialogues

LONG = 6  # words from which a line said in two corpora counts as the same line
CONTEXT = 3  # lines before a line that have to be the same as well


def without(
    items: Sequence[Item], read: Callable[[Item], bytes], progress: Callable[[int, int], None] | None = None
) -> tuple[list[Item], list[Item], Counter[str]]:
    """The items without those that come twice, val before train; lines that come twice in a split, which still are context; and why.

    Args:
        items: Of all corpora and splits.
        read: The media bytes of an item.
        progress: Called with items looked at and all items.
    """
    before = _before(items)
    first: dict[bytes, str] = {}
    dropped: Counter[str] = Counter()
    gone: set[str] = set()
    context: list[Item] = []
    ordered = sorted(items, key=lambda i: i.split != "val")  # what is in both stays in val
    for done, item in enumerate(ordered, 1):
        key = _key(item, before.get(item.id, ()), read)
        if key is not None and key in first:
            dropped[f"{item.corpus}: {'in both splits, dropped from train' if first[key] != item.split else f'twice in {item.split}'}"] += 1
            gone.add(item.id)
            if first[key] == item.split and item.modality == "text":
                context.append(item)
        elif key is not None:
            first[key] = item.split
        if progress is not None and (done % 500 == 0 or done == len(ordered)):
            progress(done, len(ordered))
    lines = {_plain(i.text) for i in items if i.split == "val" and _is_long(i)}
    for item in items:
        if item.split == "train" and item.id not in gone and _is_long(item) and _plain(item.text) in lines:
            dropped[f"{item.corpus}: a line of {LONG} words or more that a val split holds"] += 1
            gone.add(item.id)
    return [i for i in items if i.id not in gone], context, dropped


def _before(items: Iterable[Item]) -> Mapping[str, tuple[str, ...]]:
    """Item id -> the lines of its dialogue before it."""
    lines = [i for i in items if i.modality == "text" and "dialogue" in i.extra]
    return {
        line.id: tuple(_plain(e.text) for e in said[max(0, at - CONTEXT) : at]) for said in dialogues(lines) for at, line in enumerate(said)
    }


def _key(item: Item, before: tuple[str, ...], read: Callable[[Item], bytes]) -> bytes | None:
    if item.path is not None and item.modality in ("face", "speech"):
        return blake2b(read(item), digest_size=16).digest()
    if item.modality == "text" and item.text:
        return blake2b("\n".join((*before, "", item.text.strip())).encode(), digest_size=16).digest()
    return None


def _is_long(item: Item) -> bool:
    return item.modality == "text" and item.text is not None and len(_plain(item.text).split()) >= LONG


def _plain(text: str | None) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", (text or "").casefold().replace("’", "'")))
