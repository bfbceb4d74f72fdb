"""Halves and encoders that say what they do by files in a folder, and wait for files where a test must be sure of the order."""

import os
from dataclasses import dataclass
from pathlib import Path

from fragile import until

from emollm.cluster.halves import EchoHalves, ToldEcho


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
