"""Analysed media of a corpus, kept on disk in shards: each item is encoded once, and an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from emollm.data.conversation import ClipView
from emollm.data.corpus import Corpus, Item
from emollm.errors import DataError, MediaError

SHARD = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of one analysed item."""

    item: Item
    view: ClipView
    features: dict[str, Tensor]  # stream -> [N, D_enc] float16


class FeatureStore:
    """The cache of one corpus folder under one set of encoders."""

    def __init__(self, corpus: Corpus, folder: Path) -> None:
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
        shards = [list(items[i : i + SHARD]) for i in range(0, len(items), SHARD)]
        todo = [s for s in shards if not self._path(s).is_file()]
        done = len(shards) - len(todo)
        if progress is not None:
            progress(done, len(shards))
        if not todo:
            return
        if workers <= 1 or len(todo) == 1:
            results = map(_Worker(self.corpus.folder, self.folder, make_perception), [(self._path(s), s) for s in todo])
            for _ in results:
                done += 1
                if progress is not None:
                    progress(done, len(shards))
            return
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, _start, (self.corpus.folder, self.folder, make_perception)) as pool:
            for _ in pool.imap_unordered(_work, [(self._path(s), s) for s in todo]):
                done += 1
                if progress is not None:
                    progress(done, len(shards))

    def load(self, items: Sequence[Item]) -> dict[str, Seen]:
        """Item id -> what was seen; items in which nothing was found are left out."""
        found: dict[str, Seen] = {}
        for i in range(0, len(items), SHARD):
            shard = items[i : i + SHARD]
            path = self._path(shard)
            if not path.is_file():
                raise DataError(f"the features of {shard[0].id} and its neighbours are not there; build them first.")
            with safe_open(path, "pt") as file:
                views = json.loads(file.metadata()["views"])
                whole = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            at = dict.fromkeys(whole, 0)
            for item in shard:
                if item.id not in views:
                    continue
                view = views[item.id]
                features = {}
                for name, count in view["tokens"].items():
                    features[name] = whole[name][at[name] : at[name] + count]
                    at[name] += count
                if features:
                    view["marks_s"] = {k: tuple(v) for k, v in view["marks_s"].items()}
                    view["cues"] = {k: tuple(tuple(w) for w in v) for k, v in view["cues"].items()}
                    found[item.id] = Seen(item, ClipView(**view), features)
        return found

    def _path(self, shard: Sequence[Item]) -> Path:
        import hashlib

        key = hashlib.sha256("\n".join(i.id for i in shard).encode()).hexdigest()[:16]
        return self.folder / f"{shard[0].corpus}-{key}.safetensors"


class _Worker:
    def __init__(self, corpus: Path, folder: Path, make_perception: Callable[[], Any]) -> None:
        self._corpus, self._folder = Corpus(corpus), folder
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
        save_file({k: torch.cat(v) for k, v in kept.items()}, part, metadata={"views": json.dumps(views)})
        part.replace(path)  # whole or not at all


_worker: _Worker | None = None


def _start(*args: Any) -> None:
    global _worker  # noqa: PLW0603 - one set of encoders per process
    torch.set_num_threads(1)  # the processes already share the cores
    _worker = _Worker(*args)


def _work(job: tuple[Path, list[Item]]) -> None:
    assert _worker is not None
    _worker(job)
