"""Encoders that are killed while they work, or kill their process themselves."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import clips

from emollm import batch
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
        raise AssertionError("nobody asks for an explanation where only JSON is written")


def measured(folder, whole, **options):
    """A folder of `whole` sound clips, a victim that is killed from outside, a poison and a broken file, measured by two workers.

    Returns the paths, the outcomes by name, and the folders of clips, results and marks.
    """
    inside, out, marks = (folder / name for name in ("clips", "out", "marks"))
    inside.mkdir()
    marks.mkdir()
    for number in range(whole):
        (inside / f"clip{number}.wav").write_bytes(clips.wav(0.5 + number / 10))
    (inside / "victim.wav").write_bytes(clips.wav(0.7, hz=300))
    (inside / "poison.wav").write_bytes(clips.wav(0.7, hz=400))
    (inside / "broken.wav").write_bytes(b"<html>no sound</html>")
    paths = batch.find_clips([inside])

    def kill():
        until((marks / "victim.pid").exists, "the victim")
        os.kill(int((marks / "victim.pid").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcomes = batch.analyze_all(paths, out, ["json"], Fragile(marks), key="k", workers=2, **options)
    killer.join()
    assert [o.path for o in outcomes] == paths
    return paths, {o.path.stem: o for o in outcomes}, (inside, out, marks)
