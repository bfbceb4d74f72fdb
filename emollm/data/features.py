"""Analysed media of a corpus, kept on disk in shards: each item is encoded once, and an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from emollm.data.conversation import ClipView
from emollm.data.corpus import Item
from emollm.errors import DataError, MediaError
from emollm.recipe import Recipe
from emollm.sights import chosen
from emollm.values import Features

SHARD = 500


class Readable(Protocol):
    """Where items are read; it is made from its folder alone, so that each worker opens its own."""

    folder: Path

    def __init__(self, folder: Path) -> None: ...

    def read(self, item: Item) -> bytes:
        """The media bytes of an item."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of one analysed item."""

    item: Item
    view: ClipView
    features: dict[str, Tensor]  # stream -> [N, D_enc] float16
    pace: Mapping[str, int] = field(default_factory=dict)  # stream -> `Stream.frames`; 0 where it is not named

    @property
    def has_face(self) -> bool:
        """Whether it shows somebody's face."""
        return self.item.modality == "face" and bool(self.features) and self.view.persons > 0


class FeatureStore:
    """The cache of one corpus folder under one set of encoders."""

    def __init__(self, corpus: Readable, folder: Path) -> None:
        self.corpus = corpus
        self.folder = folder

    def build(
        self,
        items: Sequence[Item],
        make_perception: Callable[[], Any],
        *,
        workers: int = 1,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Analyse what is not kept yet.

        Args:
            items: Faces and speech.
            make_perception: Called once in each worker; returns a Perception.
            workers: Processes; each keeps its own encoders.
            progress: Called with shards done and shards in all.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        known = {i for path in self._shards() for i in _ids_of(path)}
        fresh = [i for i in items if i.id not in known]
        todo = [fresh[i : i + SHARD] for i in range(0, len(fresh), SHARD)]
        done, whole = 0, len(todo)
        if progress is not None:
            progress(done, whole)
        if not todo:
            return
        source = (type(self.corpus), self.corpus.folder)
        if workers <= 1 or len(todo) == 1:
            results = map(_Worker(source, self.folder, make_perception), [(self._path(s), s) for s in todo])
            for _ in results:
                done += 1
                if progress is not None:
                    progress(done, whole)
            return
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, _start, (source, self.folder, make_perception)) as pool:
            for _ in pool.imap_unordered(_work, [(self._path(s), s) for s in todo]):
                done += 1
                if progress is not None:
                    progress(done, whole)

    def load(self, items: Sequence[Item], recipe: Recipe) -> dict[str, Seen]:
        """Item id -> what a system's streams take of what was seen; items in which nothing was found are left out.

        Raises:
            DataError: If an item was never analysed.
        """
        wanted = {i.id: i for i in items}
        found: dict[str, Seen] = {}
        known: set[str] = set()
        pace = {s.name: s.frames for s in recipe.streams if s.frames}
        for path in self._shards():
            with safe_open(path, "pt") as file:
                ids, views = _ids_of(path), json.loads(file.metadata()["views"])
                if wanted.keys().isdisjoint(ids):
                    continue
                known.update(ids)
                kept = {s.feature for s in recipe.streams if not s.fuse}
                whole = {name: file.get_tensor(name) for name in file.keys() if name in kept}  # noqa: SIM118
            at = dict.fromkeys(whole, 0)
            for key in ids:
                view = views.get(key)
                if view is None:
                    continue
                features = {}
                for name, count in view["tokens"].items():
                    if name in whole:
                        rows = whole[name][at[name] : at[name] + count]
                        at[name] += count
                        features[name] = Features(
                            rows[None], rows.new_ones(1, count, dtype=torch.bool), marks_s=tuple(view["marks_s"].get(name) or ())
                        )
                if key in wanted and (taken := chosen(recipe, features)):
                    view["tokens"] = {n: f.tokens.shape[1] for n, f in taken.items()}
                    view["marks_s"] = {n: f.marks_s for n, f in taken.items()}
                    view["cues"] = {k: tuple(tuple(w) for w in v) for k, v in view["cues"].items()}
                    view["moves"] = tuple((when, tuple(what)) for when, what in view.get("moves", ()))
                    found[key] = Seen(wanted[key], ClipView(**view), {n: f.tokens[0] for n, f in taken.items()}, pace)
        missing = wanted.keys() - known
        if missing:
            raise DataError(f"the features of {len(missing)} items, {min(missing)} among them, are not there; build them first.")
        return {key: found[key] for key in wanted if key in found}

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))

    def _path(self, shard: Sequence[Item]) -> Path:
        key = hashlib.sha256("\n".join(i.id for i in shard).encode()).hexdigest()[:16]
        return self.folder / f"{key}.safetensors"


def _ids_of(path: Path) -> list[str]:
    """All items that were analysed into a shard, in their order."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        return list(json.loads(metadata.get("ids") or metadata["views"]))


class _Worker:
    def __init__(self, source: tuple[type[Readable], Path], folder: Path, make_perception: Callable[[], Any]) -> None:
        kind, root = source
        self._corpus, self._folder = kind(root), folder
        self._perception = make_perception()

    def __call__(self, job: tuple[Path, list[Item]]) -> None:
        path, items = job
        views: dict[str, Any] = {}
        kept: dict[str, list[Tensor]] = {}
        with tempfile.TemporaryDirectory() as private:
            clip_path = Path(private) / "clip"
            for item in items:
                clip_path.write_bytes(self._corpus.read(item))
                try:
                    analysis = self._perception.analyze(clip_path)
                except MediaError:
                    continue
                views[item.id] = asdict(ClipView.of(analysis))
                for name, features in analysis.features.items():
                    kept.setdefault(name, []).append(features.tokens[0].half())
        part = path.with_suffix(f".{os.getpid()}")
        save_file(
            {k: torch.cat(v) for k, v in kept.items()},
            part,
            metadata={"views": json.dumps(views), "ids": json.dumps([i.id for i in items])},
        )
        part.replace(path)  # whole or not at all


_worker: _Worker | None = None


def _start(*args: Any) -> None:
    global _worker  # noqa: PLW0603 - one set of encoders per process
    torch.set_num_threads(1)  # the processes already share the cores
    _worker = _Worker(*args)


def _work(job: tuple[Path, list[Item]]) -> None:
    assert _worker is not None
    _worker(job)
