"""Is anything tested on that was trained on? Corpora and splits of a training mixture against those of test cards.

A corpus is named as its samples name it, with its fold behind an @ where it has official folds: "meld", "dfew@3".
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping

from emollm import catalog
from emollm.data import reader_specs
from emollm.errors import DataError

Parts = Mapping[str, Iterable[str]]  # corpus -> splits


def leaks(trained: Parts, tested: Parts, *, mixture: str = "the mixture", card: str = "the card") -> None:
    """Refuse a training mixture and a test card that share a corpus and a split.

    Folds of one corpus hold the same clips, so two folds, or a fold and no fold, share clips whatever the split. So do corpora of which a
    reader says that they overlap.

    Args:
        trained: Corpus -> splits learnt from.
        tested: Corpus -> splits measured on.
        mixture: Name of the one, for the message.
        card: Name of the other.

    Raises:
        DataError: Naming both, with everything they share.
    """
    shared = []
    overlapping = overlaps()
    for learnt, splits in trained.items():
        for measured, others in tested.items():
            mine, theirs = sorted(splits), sorted(others)
            (corpus, _, fold), (other, _, other_fold) = learnt.partition("@"), measured.partition("@")
            if corpus == other and fold != other_fold and mine and theirs:
                shared.append(f"{learnt} ({', '.join(mine)}) and {measured} ({', '.join(theirs)}), which split the same clips otherwise")
            elif corpus == other:
                shared += [f"{learnt} ({split})" for split in mine if split in theirs]
            elif frozenset((corpus, other)) in overlapping and mine and theirs:
                shared.append(f"{learnt} ({', '.join(mine)}) and {measured} ({', '.join(theirs)}), which share clips")
    if shared:
        raise DataError(
            f"{mixture} learns from what {card} measures: {'; '.join(shared)}. Leave it out of the one or the other, "
            "or choose another split; a score on it would say nothing."
        )


def check_cards(trained: Parts, mixture: str) -> None:
    """Refuse a training mixture that learns from what a shipped card measures.

    A card says its corpus or corpora, or its name is that of a corpus, alone or with more behind it. Cards measure all splits but train;
    a corpus without official splits is measured whole. The fold that is learnt from is taken for the one that is measured.

    Raises:
        DataError: Naming the mixture and the first such card.
    """
    readers = [reader_specs.load_reader(name) for name in reader_specs.names()]
    known = sorted({reader.corpus for reader in readers}, key=len, reverse=True)
    whole = {reader.corpus for reader in readers if reader.split.kind == "none"}
    folds = {learnt.partition("@")[0]: learnt for learnt in trained}
    for name in catalog.names("eval"):
        card = tomllib.loads(catalog.find("eval", name).read_text("utf-8"))
        said = card.get("corpus")
        like = next((c for c in known if name == c or name.startswith(f"{c}-")), None)
        for corpus in [said] if said else card.get("corpora") or ([like] if like else []):
            splits = ("train", "val", "test") if said is None and corpus in whole else ("val", "test")
            leaks(trained, {folds.get(corpus, corpus): splits}, mixture=mixture, card=name)


def overlaps() -> frozenset[frozenset[str]]:
    """Pairs of corpora that share clips, as the shipped readers say."""
    loaded = [reader_specs.load_reader(name) for name in reader_specs.names()]
    return frozenset(frozenset((reader.corpus, other)) for reader in loaded for other in reader.overlaps)
