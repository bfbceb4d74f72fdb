"""What the stages of a run learn from: mixtures over a folder with index.jsonl, or over unified files, and the media they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emollm.data.corpus import Corpus, Item
from emollm.data.features import FeatureStore, Readable, Seen
from emollm.data.film import film_items
from emollm.data.leakage import check_cards
from emollm.data.mixture import Mixture
from emollm.data.sample_index import SampleIndex
from emollm.data.unified_corpus import UnifiedCorpus
from emollm.data.unified_mixture import UnifiedMixture
from emollm.errors import DataError, RecipeError
from emollm.recipe import Recipe, Stage
from emollm.training.lessons import Lessons

ANCHORED = 4096  # labelled media of unified samples that a stage without a language model sees


@dataclass(slots=True)
class Learnt:
    """One run's mixtures.

    Attributes:
        corpus: Where media are read.
        items: All media that are needed, once each, in a fixed order.
        mixtures: Those over a folder, by their names.
        watched: Of the split val, by the stage that looks at them while it learns.
        lessons: Those over unified files, by the stage.
        notes: What the user should know.
        seen: What was seen of the media; of unified samples only what a stage wants beside its lessons.
    """

    corpus: Readable
    items: list[Item]
    mixtures: Mapping[str, Mixture] = field(default_factory=dict)
    watched: Mapping[str, Mixture] = field(default_factory=dict)
    lessons: Mapping[str, Lessons] = field(default_factory=dict)
    notes: Sequence[str] = ()
    seen: dict[str, Seen] = field(default_factory=dict)
    anchored: bool = False

    def read_from(self, store: FeatureStore, recipe: Recipe) -> None:
        """Take the features where they were built."""
        for lessons in self.lessons.values():
            lessons.read_from(store)
        if not self.lessons:
            self.seen = store.load(self.items, recipe)
        elif self.anchored:
            self.seen = store.load([i for i in self.items if i.label][:ANCHORED], recipe)


def from_folder(folder: Path, stages: Sequence[Stage], seed: int, shrink: float, films: Sequence[Path] = ()) -> Learnt:
    """The mixtures that stages name as `data`, over a folder and films made by `emollm synth`."""
    corpus = Corpus(folder)
    for made in films:
        corpus.add(film_items(made))
    mixtures = {s.data: Mixture(s.data, corpus, seed=seed, shrink=shrink) for s in stages if s.data}
    watched = {
        s.name: Mixture(s.data, corpus, seed=seed + 1, split="val", shrink=shrink * s.validate_with)
        for s in stages
        if s.data and s.validate_with
    }
    found = {i.id: i for m in (*mixtures.values(), *watched.values()) for i in m.media()}
    notes = [
        f"{name}: no films, so nothing is learnt about movement; make some with emollm synth and give them with --films."
        for name, mixture in mixtures.items()
        if mixture.without_films
    ]
    return Learnt(corpus, [found[k] for k in sorted(found)], mixtures=mixtures, watched=watched, notes=notes)


def from_samples(
    files: Sequence[Path],
    media: Path | None,
    stages: Sequence[Stage],
    recipe: Recipe,
    mixture: str | None,
    seed: int,
    shrink: float,
) -> Learnt:
    """The mixtures that stages name as `unified`, or the one given for all.

    Raises:
        RecipeError: If a stage names none.
        DataError: If corpora or media are missing, or a card measures what is learnt from.
    """
    if media is None:
        raise DataError("unified samples name their media by paths; give the folder those begin in with --media.")
    bare = [s.name for s in stages if s.method == "sft" and not (mixture or s.unified)]
    if bare:
        raise RecipeError(
            f"system {recipe.name!r}: the stages {', '.join(bare)} name no unified mixture; choose one for them with --mixture."
        )
    corpus, lessons, found, notes = UnifiedCorpus(media), dict[str, Lessons](), dict[str, Item](), list[str]()
    index = SampleIndex(files)
    for number, stage in enumerate(recipe.stages):
        if stage not in stages:
            continue
        name = mixture or stage.unified
        if stage.method != "sft" or name is None:
            continue
        drawn = UnifiedMixture(name, index, seed=seed + number)  # two stages over one mixture draw otherwise
        check_cards(drawn.trained(), drawn.name)
        notes += [f"{drawn.name}: {note}" for note in drawn.notes]
        lessons[stage.name] = Lessons(drawn, corpus, recipe, shrink)
        found |= lessons[stage.name].media(stage.epochs)
    anchored = any(s.method == "anchor" for s in stages)
    return Learnt(corpus, [found[k] for k in sorted(found)], lessons=lessons, notes=tuple(notes), anchored=anchored)
