"""Many clips through Ray Data: a row a file, a pool of actors that hold the encoders, and no row lost with an actor that dies.

Stands in for the process pool of `batch.analyze_all`. On several machines the clips and the folder of results must lie on a disk that all
of them see under the same path.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from emollm.batch import Job, Maker, Outcome, calm, work_one
from emollm.cluster.start import HERE, running, share_of_cores

RETRIES = 2  # a file whose worker died so often, and once more, is given up: it may well be what kills them
BLOCKS = 4096  # pieces that work is cut into; with fewer files than that, each is one


def run(jobs: Sequence[Job], maker: Maker, workers: int, address: str = HERE) -> Iterator[Outcome]:
    """Outcomes as they come; see `batch.Runner`."""
    left = dict(enumerate(jobs))
    if not left:
        return
    with running(address) as ray:
        for blocks in (BLOCKS, len(jobs)):  # what was lost beside another file is tried once more by itself
            for number, outcome in _pass(ray, left, maker, workers, blocks):
                yield replace(outcome, path=left.pop(number).path)
            if not left or len(jobs) <= BLOCKS:
                break
    for job in left.values():
        yield Outcome(job.path, "failed", f"each of {RETRIES + 1} processes that measured it died")


def _pass(ray: Any, jobs: Mapping[int, Job], maker: Maker, workers: int, blocks: int) -> Iterator[tuple[int, Outcome]]:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # rows that are missing are told by `run`
    workers = min(workers, len(jobs))
    here = [(number, replace(job, path=job.path.absolute(), stem=job.stem.absolute())) for number, job in jobs.items()]
    rows = ray.data.from_items(
        [{"number": number, "job": pickle.dumps(job)} for number, job in here],  # names of files may be no text
        override_num_blocks=min(blocks, len(here)),
    )
    done = rows.map(
        Measuring,
        fn_constructor_args=(maker,),
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),  # a death costs what was worked on alone
        num_cpus=share_of_cores(workers),
        max_task_retries=RETRIES,
    )
    for row in done.iter_rows():
        yield row["number"], pickle.loads(row["outcome"])


class Measuring:
    """An actor: encoders, and what is done with a row."""

    def __init__(self, maker: Maker) -> None:
        calm()
        self._maker = maker

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A job to its outcome."""
        return {"number": row["number"], "outcome": pickle.dumps(work_one(self._maker, pickle.loads(row["job"])))}
