"""Which question is asked next: shuffled rounds over all that are not retired, and now and then one that is."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from emollm.training.grpo.utility import Utility

EXPLORE = 0.07  # share of questions asked although they are retired: what was too hard may have become possible


class Rounds:
    """Draws ids; its state is small and goes into checkpoints.

    Args:
        ids: All questions.
        utility: Says which are retired.
        seed: Of the order.
        explore: Share of draws among the retired.
    """

    def __init__(self, ids: Sequence[str], utility: Utility, *, seed: int = 0, explore: float = EXPLORE) -> None:
        self._ids = tuple(ids)
        self._utility = utility
        self._explore = explore
        self._rng = random.Random(seed)
        self._queue: list[str] = []

    def draw(self, count: int) -> list[str]:
        """The next questions, each once as long as there are enough."""
        found: list[str] = []
        while len(found) < count:
            gone = self._utility.retired()
            if gone.issuperset(self._ids):  # nothing teaches any more: all are asked again
                gone = frozenset()
            if gone and self._rng.random() < self._explore:
                found.append(self._rng.choice(sorted(gone)))
                continue
            while self._queue and self._queue[-1] in gone:
                self._queue.pop()
            if not self._queue:
                left = [i for i in self._ids if i not in gone]
                self._rng.shuffle(left)
                self._queue = left
                continue
            found.append(self._queue.pop())
        return found

    def state(self) -> dict[str, Any]:
        """Queue and random state, as JSON."""
        version, numbers, gauss = self._rng.getstate()
        return {"queue": self._queue, "random": [version, list(numbers), gauss]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        version, numbers, gauss = state["random"]
        self._rng.setstate((version, tuple(numbers), gauss))
        self._queue = list(state["queue"])
