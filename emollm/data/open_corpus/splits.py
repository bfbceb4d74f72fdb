"""The split of a labelled item: what its source held out for validation stays there, everything else is learnt from."""

from __future__ import annotations

from emollm.data.corpus import Item
from emollm.data.schema import Split


def split_of(item: Item) -> Split:
    """ "val" or "train"."""
    return "val" if item.split == "val" else "train"
