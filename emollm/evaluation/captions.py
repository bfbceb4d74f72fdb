"""Generated text against reference texts by shared word sequences: BLEU-1 to 4, ROUGE-L, CIDEr and CIDEr-D; and how varied replies are.

Source: BLEU (Papineni et al., 2002), ROUGE-L (Lin, 2004), CIDEr (Vedantam et al., 2015), Dist-n (Li et al., 2016).
Differs: the COCO scripts cut words with the Penn Treebank rules in Java; `words` below is the whole tokeniser here, and no word is stemmed.
The numbers measure house style as much as content: print a control caption beside them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from emollm.errors import DataError

Words = Sequence[str]
Sample = tuple[str, Sequence[str]]  # (found, references)
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
ORDERS = (1, 2, 3, 4)


def words(text: str) -> list[str]:
    """Lower-case runs of letters and digits; an apostrophe or hyphen between two of them stays; all else parts words and is dropped."""
    return _WORD.findall(text.casefold().replace("’", "'"))


def ngrams(tokens: Words, n: int) -> Counter[tuple[str, ...]]:
    """Counts of runs of n words."""
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def bleu(samples: Sequence[Sample]) -> dict[str, float]:
    """Corpus BLEU-1 to BLEU-4 without smoothing; the brevity penalty takes the reference of the nearest length, the shorter of two as near.

    BLEU-n is 0 where no run of n words is right anywhere; the COCO script has 1e-15 in place of that 0, so gives a little more.

    Returns:
        bleu_1 to bleu_4, from 0 to 1.
    """
    return bleu_of([sum(column) for column in zip(*bleu_counts(samples), strict=True)])


def bleu_counts(samples: Sequence[Sample]) -> list[list[int]]:
    """What BLEU sums up, item by item: words found, words of the nearest reference, then right runs and runs of 1, 2, 3 and 4 words."""
    rows = []
    for found, references in _cut(samples):
        row = [len(found), min((len(r) for r in references), key=lambda size: (abs(size - len(found)), size))]
        for n in ORDERS:
            most: Counter[tuple[str, ...]] = Counter()
            for reference in references:
                most |= ngrams(reference, n)
            mine = ngrams(found, n)
            row += [sum((mine & most).values()), sum(mine.values())]
        rows.append(row)
    return rows


def bleu_of(counts: Sequence[int]) -> dict[str, float]:
    """BLEU-1 to BLEU-4 of summed `bleu_counts`."""
    length, nearest = counts[0], counts[1]
    penalty = 1.0 if length >= nearest else math.exp(1 - nearest / length) if length else 0.0
    scores, logs = {}, 0.0
    for n in ORDERS:
        hits, total = counts[2 * n], counts[2 * n + 1]
        logs += math.log(hits / total) if hits else -math.inf
        scores[f"bleu_{n}"] = penalty * math.exp(logs / n)
    return scores


def rouge_l(samples: Sequence[Sample], *, beta: float = 1.2) -> float:
    """Mean over items of the F-measure of the longest common subsequence, from 0 to 1.

    Args:
        samples: (found, references).
        beta: Weight of recall; 1.2 as in the COCO script, 1 as in the `rouge_score` package. Precision and recall are each the best over
            the references, which need not be the same reference, as in the COCO script.
    """
    return _mean(rouge_l_each(samples, beta=beta))


def rouge_l_each(samples: Sequence[Sample], *, beta: float = 1.2) -> list[float]:
    """ROUGE-L of every item."""
    return [_rouge_one(found, references, beta) for found, references in _cut(samples)]


def _rouge_one(found: Words, references: Sequence[Words], beta: float) -> float:
    shared = [(common(found, r), len(r)) for r in references]
    precision = max(n for n, _ in shared) / len(found) if found else 0.0
    recall = max(n / size if size else 0.0 for n, size in shared)
    low = recall + beta**2 * precision
    return (1 + beta**2) * precision * recall / low if low else 0.0


def common(first: Sequence[object], second: Sequence[object], same: Callable[[int, int], bool] | None = None) -> int:
    """Length of the longest common subsequence; `same(i, j)` says whether element i of the first matches element j of the second."""
    row = [0] * (len(second) + 1)
    for i, a in enumerate(first):
        corner = 0
        for j, b in enumerate(second):
            above = row[j + 1]
            matches = same(i, j) if same is not None else a == b
            row[j + 1] = corner + 1 if matches else max(above, row[j])
            corner = above
    return row[-1]


def cider(samples: Sequence[Sample]) -> float:
    """CIDEr, times 10: mean cosine of TF-IDF weighted runs of 1 to 4 words.

    Document frequencies come from the references of the same samples, so a corpus of one item scores 0 and small ones are unstable.
    """
    return _mean(cider_each(samples))


def cider_each(samples: Sequence[Sample]) -> list[float]:
    """CIDEr of every item, times 10; document frequencies are of all items."""
    return _cider(samples, lambda mine, theirs, _: (mine, theirs, 1.0))


def cider_d(samples: Sequence[Sample], *, sigma: float = 6.0) -> float:
    """CIDEr-D, times 10: as `cider`, but repeating a word earns nothing and a difference in length costs.

    This, not plain CIDEr, is what the class named `Cider` of the COCO caption package computes.

    Args:
        samples: (found, references).
        sigma: Words of difference in length that cost a factor exp(-1/2).
    """
    return _mean(cider_d_each(samples, sigma=sigma))


def cider_d_each(samples: Sequence[Sample], *, sigma: float = 6.0) -> list[float]:
    """CIDEr-D of every item, times 10; document frequencies are of all items."""

    def clipped(mine: _Vector, theirs: _Vector, gap: int) -> tuple[_Vector, _Vector, float]:
        return {g: min(v, theirs.get(g, 0.0)) for g, v in mine.items()}, theirs, math.exp(-(gap**2) / (2 * sigma**2))

    return _cider(samples, clipped)


_Vector = dict[tuple[str, ...], float]


def _cider(samples: Sequence[Sample], prepared: Callable[[_Vector, _Vector, int], tuple[_Vector, _Vector, float]]) -> list[float]:
    cut = _cut(samples)
    items = math.log(len(cut))
    scores = [0.0] * len(cut)
    for n in ORDERS:
        seen = Counter(g for _, references in cut for g in set().union(*(ngrams(r, n) for r in references)))
        for k, (found, references) in enumerate(cut):
            mine = _weighted(ngrams(found, n), seen, items)
            for reference in references:
                theirs = _weighted(ngrams(reference, n), seen, items)
                size = _norm(mine) * _norm(theirs)
                a, b, factor = prepared(mine, theirs, len(found) - len(reference))
                dot = sum(v * b.get(g, 0.0) for g, v in a.items())
                scores[k] += factor * dot / size / len(references) if size else 0.0
    return [10 * score / len(ORDERS) for score in scores]


def _weighted(counts: Counter[tuple[str, ...]], seen: Mapping[tuple[str, ...], int], items: float) -> _Vector:
    return {g: count * (items - math.log(max(1, seen.get(g, 0)))) for g, count in counts.items()}


def _norm(vector: _Vector) -> float:
    return math.sqrt(sum(v * v for v in vector.values()))


def distinct(replies: Sequence[str], n: int, *, together: bool = False) -> float:
    """Dist-n: different runs of n words over all of them, from 0 to 1; words are parted at blanks and thoughts are removed.

    Args:
        replies: What was said.
        n: Length of a run.
        together: Over all replies as one pool (Li et al., 2016), which falls with their number; otherwise the mean over replies,
            which is near 1 for any short reply. The two must not be compared.
    """
    pools = [ngrams(re.sub(r"<think>.*?(</think>|\Z)", " ", reply, flags=re.DOTALL).split(), n) for reply in replies]
    if together:
        total = sum(sum(p.values()) for p in pools)
        return len(set().union(*pools)) / total if total else 0.0
    shares = [len(p) / sum(p.values()) for p in pools if p]
    return _mean(shares) if shares else 0.0


def _cut(samples: Sequence[Sample]) -> list[tuple[list[str], list[list[str]]]]:
    if not samples or not all(references for _, references in samples):
        raise DataError("give at least one item, and at least one reference text for each.")
    return [(words(found), [words(r) for r in references]) for found, references in samples]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
