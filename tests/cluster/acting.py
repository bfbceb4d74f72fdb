"""Halves and encoders that say what they do by files in a folder, and wait for files where a test must be sure of the order."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from emollm.chat.echo import EchoBackend
from emollm.cluster.halves import EchoHalves, ToldEcho
from emollm.watch import Keepsakes

PATIENCE_S = 240


def until(there, what="what was waited for"):
    """Ask until it is so."""
    for _ in range(PATIENCE_S * 20):
        if there():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come about")


@dataclass(frozen=True)
class Fragile:
    """Makes encoders that really decode; `victim` waits to be killed the first time, `poison` kills its process every time."""

    folder: Path

    def __call__(self):
        return self

    def look(self, path):
        if path.name.startswith("victim"):
            mark = self.folder / "victim.pid"
            if not mark.exists():
                part = mark.with_suffix(".part")
                part.write_text(str(os.getpid()))
                part.replace(mark)
                threading.Event().wait(PATIENCE_S)
        if path.name.startswith("poison"):
            with (self.folder / "poison.log").open("a") as log:
                log.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return EchoBackend().analyze(path), Keepsakes((), ())

    def explain(self, close_up, label):
        raise NotImplementedError


class NotingEcho(ToldEcho):
    def __init__(self, folder, **options):
        super().__init__(**options)
        self._folder = folder
        (folder / f"writer-{os.getpid()}").touch()

    def forget_digest(self, digest):
        (self._folder / f"forgot-{digest}-{os.getpid()}").touch()


@dataclass(frozen=True)
class NotingHalves:
    """The echo, whose encoders wait while a file `hold` exists and note every clip."""

    folder: Path
    delay_s: float

    def measuring(self):
        measure = EchoHalves().measuring()

        def noted(path):
            with (self.folder / "measured.log").open("a") as log:
                log.write(path.name + "\n")
            until(lambda: not (self.folder / "hold").exists(), "leave to measure")
            return measure(path)

        return noted

    def writing(self):
        return NotingEcho(self.folder, delay_s=self.delay_s)
