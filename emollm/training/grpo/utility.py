"""How much a question still teaches: utilities of its groups of answers, and the lifecycle from discovered to retired.

Source: FaVChat, arXiv 2503.09158, section on data-efficient GRPO, and its code. `Released` repeats the code; `Lifecycle` is our clean
re-statement, since in the code a question met for the first time has a state of a fifth of its utility, which hardly ever passes the
threshold, and all advantages become zero.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Protocol

import numpy as np

TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Group:
    """Answers to one question."""

    id: str
    rewards: tuple[float, ...]
    scores: tuple[float, ...]  # mean log probability of a token of each answer
    sensitivity: float = 1.0  # norm of the gradient its advantages would make; 1 where it is not measured


class Utility(Protocol):
    """Decides how much each group counts, and remembers."""

    def weigh(self, groups: Sequence[Group]) -> list[float]:
        """A factor for the advantages of each group."""

    def retired(self) -> frozenset[str]:
        """Questions that need not be asked again."""

    def state(self) -> dict[str, Any]:
        """All that is remembered, as JSON."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""


class Plain:
    """Every group counts alike: GRPO as it is."""

    def weigh(self, groups: Sequence[Group]) -> list[float]:
        """See Utility."""
        return [1.0] * len(groups)

    def retired(self) -> frozenset[str]:
        """See Utility."""
        return frozenset()

    def state(self) -> dict[str, Any]:
        """See Utility."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See Utility."""


def margin(values: Sequence[float]) -> float:
    """Mean distance of all pairs."""
    pairs = [abs(a - b) for a, b in combinations(values, 2)]
    return sum(pairs) / len(pairs) if pairs else 0.0


def geometric_gap(values: Sequence[float]) -> float:
    """Geometric mean of the distances of all pairs; one tie among many pulls it down far."""
    pairs = [math.log(abs(a - b) + TINY) for a, b in combinations(values, 2)]
    return math.exp(sum(pairs) / len(pairs)) if pairs else 0.0


class Released:
    """As the published code does it.

    Args:
        keep: Share of the state that stays at a visit.
        remove: States below it give no advantage.
        cool: States above it give half.
        baseline: What a group's margin is compared with; the code learns it without a loss of its own.
    """

    def __init__(self, *, keep: float = 0.8, remove: float = 0.2, cool: float = 0.8, baseline: float = 0.0) -> None:
        self._keep, self._remove, self._cool, self._baseline = keep, remove, cool, baseline
        self._states: dict[str, float] = {}

    def weigh(self, groups: Sequence[Group]) -> list[float]:
        """tanh of the lifecycle factor times margin minus baseline."""
        found = []
        for group in groups:
            utility = geometric_gap(group.rewards) * geometric_gap(group.scores)
            state = self._keep * self._states.get(group.id, 0.0) + (1 - self._keep) * utility
            self._states[group.id] = state
            factor = 0.0 if state < self._remove else 0.5 if state > self._cool else 1.0
            found.append(math.tanh(factor * (margin(group.rewards) - self._baseline)))
        return found

    def retired(self) -> frozenset[str]:
        """None: the code asks every question all the same."""
        return frozenset()

    def state(self) -> dict[str, Any]:
        """See Utility."""
        return {"states": self._states}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See Utility."""
        self._states = dict(state["states"])


@dataclass(slots=True)
class _Seen:
    level: float = 0.0
    visits: int = 0
    status: str = "discovered"


@dataclass(slots=True)
class Lifecycle:
    """Utilities as ranks among the last groups, so that no threshold depends on the scale of a reward.

    A question is retired when its level stays below the lower quantile for two visits, counts half above the upper one (it swings, others
    may teach more), and fully between. Standard group advantages are scaled, never turned round.

    Attributes:
        keep: Share of the level that stays at a visit; the first visit sets it.
        low: Quantile below which a question retires.
        high: Quantile above which it cools down.
        patience: Visits before it may retire.
        window: Groups that ranks are taken among.
    """

    keep: float = 0.6
    low: float = 0.2
    high: float = 0.8
    patience: int = 2
    window: int = 256
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _recent: deque[float] = field(default_factory=deque)

    def weigh(self, groups: Sequence[Group]) -> list[float]:
        """See Utility."""
        raw = [margin(g.rewards) * g.sensitivity for g in groups]
        self._recent.extend(raw)
        while len(self._recent) > self.window:
            self._recent.popleft()
        known = np.sort(np.array(self._recent))
        found = []
        for group, value in zip(groups, raw, strict=True):
            # Nothing to tell apart is the lowest rank, however many share it; other ties stand in the middle of theirs.
            left, right = np.searchsorted(known, value, "left"), np.searchsorted(known, value, "right")
            rank = 0.0 if value <= TINY else float(left + right) / (2 * len(known))
            seen = self._seen.setdefault(group.id, _Seen())
            seen.level = rank if not seen.visits else self.keep * seen.level + (1 - self.keep) * rank
            seen.visits += 1
            if seen.level < self.low and seen.visits >= self.patience:
                seen.status = "retired"
            else:
                seen.status = "cooling" if seen.level > self.high else "used"
            found.append(0.5 if seen.status == "cooling" else 1.0)
        return found

    def retired(self) -> frozenset[str]:
        """See Utility."""
        return frozenset(name for name, seen in self._seen.items() if seen.status == "retired")

    def status(self, name: str) -> str:
        """ "unknown", "used", "cooling" or "retired"."""
        return self._seen[name].status if name in self._seen else "unknown"

    def state(self) -> dict[str, Any]:
        """See Utility."""
        return {"recent": list(self._recent), "seen": {name: [s.level, s.visits, s.status] for name, s in self._seen.items()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See Utility."""
        self._recent = deque(state["recent"])
        self._seen = {name: _Seen(*row) for name, row in state["seen"].items()}
