"""A mixture over unified samples: sources with weights, drawn in exactly their shares, the same for one seed, resumable at any draw.

The next source is always the one that is furthest behind its share, so that after n draws no source is off by more than a few samples.
Inside a source nothing comes twice before all has come once. It reads one sample at a time and knows nothing of media or models.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emollm.data import reader_specs, schema
from emollm.data.asking import Asked, Kind, View, ask, tasks_for
from emollm.data.mixture_spec import EVERY, INPUTS, Input, UnifiedSource, load_spec
from emollm.data.sample_index import SampleIndex, bits
from emollm.errors import DataError

VARIANTS = 5040  # a number that pools of up to ten wordings divide


@dataclass(frozen=True, slots=True)
class Draw:
    """One drawn sample, and as what it is asked."""

    number: int
    source: str
    kind: Kind
    task: schema.Task
    sample: schema.UnifiedSample
    inputs: tuple[Input, ...]
    seed: str

    @property
    def view(self) -> View:
        """What is perceived of the sample."""
        media = self.sample.media
        picture = "picture" in self.inputs and (media.video or media.image)
        sound = "sound" in self.inputs and (media.video or media.audio)
        moving = picture and (media.video or sound)
        return "clip" if moving and sound else "face" if picture else "voice" if sound else "text"

    def asked(self, view: View | None = None) -> Asked:
        """The question with shuffled options and the answer; always the same for one draw.

        Args:
            view: What is perceived of the sample, where less was found in its media than they promise.
        """
        rng = random.Random(self.seed)
        return ask(self.task, self.sample, variant=rng.randrange(VARIANTS), rng=rng, kind=self.kind, view=view or self.view)


class _Deck:
    """The rows of a source, shuffled anew whenever all have come."""

    def __init__(self, rows: array[int], shares: Mapping[Kind, float], seed: str) -> None:
        self._rows, self._seed = rows, seed
        self.shares = shares
        self.turn, self.at, self.drawn = 0, 0, 0
        self.asked: dict[Kind, int] = dict.fromkeys(shares, 0)
        self._order = self._shuffled()

    def _shuffled(self) -> array[int]:
        order = list(range(len(self._rows)))
        random.Random(f"{self._seed}/{self.turn}").shuffle(order)
        return array("L", order)

    def __len__(self) -> int:
        return len(self._rows)

    def next(self, index: SampleIndex) -> tuple[int, Kind]:
        if self.at == len(self._rows):
            self.turn, self.at = self.turn + 1, 0
            self._order = self._shuffled()
        row = self._rows[self._order[self.at]]
        mask = index.mask(row)
        able = [kind for kind in self.shares if mask & bits((kind,))]
        kind = max(able, key=lambda k: self.shares[k] * (self.drawn + 1) - self.asked[k])
        self.at, self.drawn, self.asked[kind] = self.at + 1, self.drawn + 1, self.asked[kind] + 1
        return row, kind

    def state(self) -> dict[str, Any]:
        return {"turn": self.turn, "at": self.at, "drawn": self.drawn, "asked": dict(self.asked)}

    def load(self, state: Mapping[str, Any]) -> None:
        self.turn, self.at, self.drawn, self.asked = state["turn"], state["at"], state["drawn"], dict(state["asked"])
        self._order = self._shuffled()


class UnifiedMixture:
    """An endless draw from unified files; iterate it, or take a number with `draw`.

    Args:
        name: A mixture by name or path.
        files: Unified JSONL files, or their index where several mixtures draw from the same.
        seed: Of everything random.

    Attributes:
        spec: The file.
        weights: Source -> its share, of the sources that are there.
        notes: What the user should know, such as sources that were left out.
    """

    def __init__(self, name: str, files: Sequence[Path] | SampleIndex, *, seed: int = 0) -> None:
        self.name, self.spec, self._seed = Path(name).stem, load_spec(name), seed
        self.index = files if isinstance(files, SampleIndex) else SampleIndex(files)
        self.drawn = 0
        self.notes: list[str] = []
        self._decks: dict[str, _Deck] = {}
        self._inputs: dict[str, tuple[Input, ...]] = {}
        missing, weights = [], dict[str, float]()
        for source in self.spec.sources:
            key, shares = self.spec.key(source), self.spec.asked(source)
            corpora = tuple(self.index.corpora) if source.corpora == (EVERY,) else source.corpora
            rows = [self.index.rows(corpus, bits(tuple(shares))) for corpus in corpora]
            gone = [corpus for corpus, found in zip(corpora, rows, strict=True) if not found]
            if gone and not source.optional and source.corpora != (EVERY,):
                missing += [self._missing(corpus, source, shares) for corpus in gone]
            if not any(rows):
                self.notes.append(f"{key} is not there; the other sources share its weight")
                continue
            if gone and source.corpora != (EVERY,):
                self.notes.append(f"{key} goes without {', '.join(gone)}")
            together = array("L", (row for found in rows for row in found))
            self._decks[key] = _Deck(together, shares, f"{seed}/{key}")
            self._inputs[key] = source.inputs
            weights[key] = float(len(together)) if source.weight is None else source.weight
        if missing:
            raise DataError(f"the mixture {self.name!r} misses {len(missing)} corpora in {self._files()}: {'; '.join(missing)}")
        if not weights:
            raise DataError(f"the mixture {self.name!r} finds nothing to draw in {self._files()}; {self._holds()}.")
        self._one_fold()
        whole = sum(weights.values())
        self.weights = {key: weight / whole for key, weight in weights.items()}

    def _files(self) -> str:
        return ", ".join(map(str, self.index.files)) or "no files"

    def _holds(self) -> str:
        found = [f"{corpus} {self.index.split} {len(rows)}" for corpus, rows in self.index.corpora.items()]
        found += [f"{corpus} {split} {count}" for (corpus, split), count in self.index.elsewhere.items()]
        return f"they hold: {', '.join(found) or 'nothing'}"

    def _missing(self, corpus: str, source: UnifiedSource, shares: Mapping[Kind, float]) -> str:
        if corpus in self.index.corpora:
            return f"{corpus} is there, but no sample of it can be asked {' or '.join(shares)}"
        others = [split for (name, split) in self.index.elsewhere if name == corpus]
        if others:
            return f"{corpus} is there, but only its {' and '.join(sorted(others))} split; give its {self.index.split} split"
        readers = [n for n in reader_specs.names() if reader_specs.load_reader(n).corpus == corpus]
        reader = source.reader or (corpus if corpus in readers else readers[0] if readers else "")
        if not reader:
            return f"{corpus}, which no reader makes; write unified samples of it yourself"
        return f"{corpus}; make it with `emollm data build {reader} --root FOLDER --out {reader}.jsonl` and give that file, too"

    def _one_fold(self) -> None:
        several = [corpus for corpus, folds in self.index.folds.items() if len(folds) > 1]
        if several:
            raise DataError(
                f"{self._files()} hold several folds of {', '.join(several)}, and what one fold trains on another tests on; give one fold."
            )

    def trained(self) -> dict[str, tuple[str, ...]]:
        """Corpora, with their folds, and the split that is learnt from; for `emollm.data.leakage`."""
        used = {c for s in self.spec.sources for c in (self.index.corpora if s.corpora == (EVERY,) else s.corpora)}
        found: dict[str, tuple[str, ...]] = {}
        for corpus in sorted(used & self.index.corpora.keys()):
            (fold,) = self.index.folds[corpus]
            found[corpus if fold is None else f"{corpus}@{fold}"] = (self.index.split,)
        return found

    def __iter__(self) -> Iterator[Draw]:
        return self

    def __next__(self) -> Draw:
        key = max(self._decks, key=lambda k: self.weights[k] * (self.drawn + 1) - self._decks[k].drawn)
        row, kind = self._decks[key].next(self.index)
        sample = self.index.read(row)
        seed = f"{self._seed}/{self.drawn}"
        tasks = tasks_for(kind, sample)
        # Another stream of chance than the wording's, which begins with the same seed.
        task = tasks[0] if len(tasks) == 1 else random.Random(f"{seed}/task").choice(tasks)
        alone = self.spec.inputs.get(kind, INPUTS)
        shown: tuple[Input, ...] = tuple(i for i in self._inputs[key] if i in alone)
        draw = Draw(self.drawn, key, kind, task, sample, shown, seed)
        self.drawn += 1
        return draw

    def draw(self, count: int) -> Iterator[Draw]:
        """The next `count` draws, one after another."""
        return (next(self) for _ in range(count))

    def realised(self) -> dict[str, float]:
        """Source -> its share of what was drawn so far."""
        return {key: deck.drawn / max(self.drawn, 1) for key, deck in self._decks.items()}

    def realised_kinds(self) -> dict[tuple[str, Kind], float]:
        """Source and kind -> its share of what was drawn so far."""
        return {(key, k): n / max(self.drawn, 1) for key, deck in self._decks.items() for k, n in deck.asked.items()}

    def state(self) -> dict[str, Any]:
        """Where the draw stands, as a small value that JSON can hold."""
        return {
            "mixture": self.name,
            "seed": self._seed,
            "files": self.index.identity,
            "drawn": self.drawn,
            "sources": {key: deck.state() for key, deck in self._decks.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state as if the draw had never stopped.

        Raises:
            DataError: If the state is of another mixture, seed or files.
        """
        own = self.state()
        for what in ("mixture", "seed", "files"):
            if state[what] != own[what]:
                raise DataError(f"the kept state is of another {what} ({state[what]}, now {own[what]}); begin anew, or go back.")
        if state["sources"].keys() != self._decks.keys():
            raise DataError(f"the kept state is of the sources {', '.join(state['sources'])}, now there are {', '.join(self._decks)}.")
        self.drawn = state["drawn"]
        for key, deck in self._decks.items():
            deck.load(state["sources"][key])
