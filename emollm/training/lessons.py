"""What a stage learns from unified samples: the draws of its mixture, window by window, each with what was seen of its media."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emollm.data.corpus import Item
from emollm.data.features import FeatureStore, Seen
from emollm.data.tasks import Sample
from emollm.data.unified_corpus import UnifiedCorpus
from emollm.data.unified_mixture import Draw, UnifiedMixture
from emollm.data.unified_tasks import heard_streams, to_sample
from emollm.errors import DataError
from emollm.recipe import Recipe


class Lessons:
    """The draws of one mixture as conversations.

    Args:
        mixture: Endless; its place is what a checkpoint keeps.
        corpus: Where the media lie.
        recipe: Which streams a conversation has.
        shrink: Share of the mixture's own number of samples.
    """

    def __init__(self, mixture: UnifiedMixture, corpus: UnifiedCorpus, recipe: Recipe, shrink: float = 1.0) -> None:
        self.mixture, self.count = mixture, max(1, round(mixture.spec.samples * shrink))
        self._corpus, self._recipe, self._heard = corpus, recipe, heard_streams(recipe)
        self._store: FeatureStore | None = None

    def media(self, passes: float = 1.0) -> dict[str, Item]:
        """All media of so many passes by id; the draw goes back to where it was.

        Raises:
            DataError: If one is missing.
        """
        before = self.mixture.state()
        found = {item.id: item for draw in self.mixture.draw(max(1, round(self.count * passes))) for item in self._corpus.items(draw)}
        self.mixture.load_state(before)
        return found

    def read_from(self, store: FeatureStore) -> None:
        """Where the features of the media are."""
        self._store = store

    def window(self, count: int) -> list[Sample]:
        """The next draws as conversations; those that nothing can be answered from are left out.

        Raises:
            DataError: If nothing is left.
        """
        draws = [(draw, self._corpus.items(draw)) for draw in self.mixture.draw(count)]
        seen = self._seen(draws)
        found = [to_sample(draw, items, seen, self._heard) for draw, items in draws]
        kept = [sample for sample in found if sample is not None]
        if not kept:
            raise DataError(
                f"of {count} samples of the mixture {self.mixture.name!r} none shows {self._recipe.name!r} anything: "
                "no face, voice or words were found. Are these the right media?"
            )
        return kept

    def _seen(self, draws: list[tuple[Draw, tuple[Item, ...]]]) -> dict[str, Seen]:
        wanted = {item.id: item for _, items in draws for item in items}
        if not wanted:
            return {}
        assert self._store is not None, "features are read only after they were built"
        return self._store.load(list(wanted.values()), self._recipe)

    def state(self) -> dict[str, Any]:
        """Where the draw stands."""
        return self.mixture.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.mixture.load_state(state)
