"""Rewards that can be checked: does the answer name the label, keep its form, follow from its chain, and use the clip's order of time?

Source: FaVChat, arXiv 2503.09158, and its code (Jaccard of words by facet, format, temporal and length shaping). Differs: labels are
compared with their synonyms, so that "joyful" is not wrong for "happy"; every reward lies in 0 to 1 before shaping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
FORM = re.compile(r"\s*<think>.+?</think>\s*<answer>.+?</answer>\s*", re.DOTALL)
NAMED, SHUFFLED_SHARE, TEMPORAL, LENGTH = 0.1, 0.8, 0.3, 0.2
SHORTEST, LONGEST = 320, 512  # tokens that earn the bonus of length, as released


def words(text: str) -> set[str]:
    """Words of a text in lower case."""
    return set(_WORD.findall(text.lower()))


def overlap(answer: str, wanted: Sequence[str], synonyms: Mapping[str, str] | None = None) -> float:
    """Jaccard overlap of the labels named in an answer with those wanted, after synonyms are joined.

    Args:
        answer: Free text.
        wanted: Labels.
        synonyms: Word -> label it stands for; words that are neither a label nor a synonym are no part of the comparison.
    """
    known = dict(synonyms or {}) | {w.lower(): w.lower() for w in wanted}
    named = {known[w] for w in words(answer) if w in known}
    goal = {w.lower() for w in wanted}
    return len(named & goal) / len(named | goal) if named | goal else 0.0


def facets(answer: str, wanted: Mapping[str, Sequence[str]], shares: Mapping[str, float]) -> float:
    """Mean of the word overlap with each facet (attributes, emotion, action), weighed; facets a sample lacks give their weight away."""
    there = {name: shares[name] for name, labels in wanted.items() if labels and name in shares}
    if not there:
        return 0.0
    said = words(answer)
    total = 0.0
    for name, share in there.items():
        goal = set().union(*(words(label) for label in wanted[name]))
        total += share * (len(said & goal) / len(said | goal) if said | goal else 0.0)
    return total / sum(there.values())


def form(answer: str) -> float:
    """1 for one block of thought and then one of answer, and nothing else."""
    return float(bool(FORM.fullmatch(answer)) and answer.count("<think>") == answer.count("<answer>") == 1)


def agreement(chain_emotion: str, reply: str, synonyms: Mapping[str, str]) -> float:
    """Whether the reply speaks of the emotion its chain found; 0.5 where it names none, which is no contradiction."""
    found = {synonyms.get(w, w) for w in words(chain_emotion)} & set(synonyms.values())
    named = {synonyms[w] for w in words(reply) if w in synonyms}
    if not found or not named:
        return 0.5
    return float(bool(found & named))


def temporal(rewards: Sequence[float], shuffled: Sequence[float]) -> list[float]:
    """Bonus for answers that are right because of the order of time.

    Where the answers to the clip are on average nearly as good as those to the same clip with its moments shuffled, or better, every good
    one gets it.

    Args:
        rewards: Main reward of each answer to the clip.
        shuffled: Of each answer to the shuffled clip.
    """
    ahead = bool(shuffled) and sum(rewards) / len(rewards) >= SHUFFLED_SHARE * sum(shuffled) / len(shuffled)
    return [TEMPORAL if ahead and r > NAMED else 0.0 for r in rewards]


def length(reward: float, tokens: int, shortest: int = SHORTEST, longest: int = LONGEST) -> float:
    """Bonus for a good answer of a wanted length."""
    return LENGTH if reward > NAMED and shortest <= tokens <= longest else 0.0
