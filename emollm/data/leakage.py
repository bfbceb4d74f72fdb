"""Is anything tested on that was trained on? Corpora and splits of a training mixture against those of test cards.

A corpus is named as its samples name it, with its fold behind an @ where it has official folds: "meld", "dfew@3".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def overlaps() -> frozenset[frozenset[str]]:
    """Pairs of corpora that share clips, as the shipped readers say."""
    loaded = [reader_specs.load_reader(name) for name in reader_specs.names()]
    return frozenset(frozenset((reader.corpus, other)) for reader in loaded for other in reader.overlaps)
