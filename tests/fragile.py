"""Encoders that are killed while they work, or kill their process themselves."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from emollm.chat.echo import EchoBackend
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
            until((self.folder / "victim.pid").exists, "the victim")  # whose own death is another case
            with (self.folder / "poison.log").open("a") as log:
                log.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return EchoBackend().analyze(path), Keepsakes((), ())

    def explain(self, close_up, label):
        raise NotImplementedError
