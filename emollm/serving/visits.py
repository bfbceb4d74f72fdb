"""One browser session of the app: its clip on disk, its conversation, and how both are forgotten.

Knows files and messages; knows neither gradio nor models. All clips of a process lie in one private folder that goes with the process;
what a killed process left behind is swept away by the next one.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path

from emollm.chat.backend import Reply
from emollm.errors import MediaError
from emollm.values import Message

_PREFIX = "emollm-app-"
_REMEMBERED_ENDS = 1000


class Visit:
    """The clip and the conversation of one session. `epoch` grows when they are deleted, so that work under way can tell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.clip: Path | None = None
        self.offered: Path | None = None  # taken in, but not yet known to be readable
        self.turns: list[Message] = []
        self.start = 0  # turns before it are shown, but belong to an earlier clip
        self.epoch = 0
        self.reply: Reply | None = None
        self.stopping = False

    def offer(self, source: Path, *, keep: bool) -> None:
        """Take in a copy of a clip, under an address nobody can guess; `keep` leaves the source where it is.

        Raises:
            MediaError: If the source has gone.
        """
        self.refuse()
        target = self._folder / secrets.token_hex(16) / source.name
        target.parent.mkdir(mode=0o700)
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            shutil.rmtree(target.parent)
            reason = error.strerror or type(error).__name__
            raise MediaError(f"{source.name} could not be taken in: {reason}. Load the clip again.", code="not_found") from error
        if not keep:
            source.unlink(missing_ok=True)
        self.offered = target

    def accept(self) -> None:
        """The offered clip takes the place of the last one; what is asked from now on is about it."""
        _delete(self.clip)
        self.clip, self.offered, self.start = self.offered, None, len(self.turns)

    def refuse(self) -> None:
        """Delete the offered clip; the last one stays."""
        _delete(self.offered)
        self.offered = None

    def stop(self) -> None:
        """Ask whatever runs for this session to end soon."""
        self.stopping = True
        if self.reply is not None:
            self.reply.cancel()

    def clear(self) -> None:
        """Forget the conversation; the clip stays."""
        self.stop()
        self.epoch += 1
        self.turns, self.start = [], 0

    def forget(self) -> None:
        """Forget conversation and clip, at once."""
        self.clear()
        self.refuse()
        _delete(self.clip)
        self.clip = None

    def messages(self, question: str) -> list[Message]:
        """What the backend reads: the turns about the present clip and the question; the clip hangs on the first of them."""
        asked = [*self.turns[self.start :], Message("user", question)]
        return [replace(asked[0], clips=(self.clip,)), *asked[1:]] if self.clip is not None else asked


class Visits:
    """All sessions of a running app, by session key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Visit] = {}
        self._ended: deque[str] = deque(maxlen=_REMEMBERED_ENDS)
        self._lock = threading.Lock()

    def of(self, key: str) -> Visit:
        """The session's visit, begun when first asked for."""
        with self._lock:
            return self._open.setdefault(key, Visit(self._folder))

    def end(self, key: str) -> None:
        """Forget a session whose page was closed or lost."""
        with self._lock:
            visit = self._open.pop(key, None)
            if visit is not None and (visit.clip is not None or visit.turns):
                self._ended.append(key)
        if visit is not None:
            visit.forget()

    def came_back(self, key: str) -> bool:
        """True once for a page that goes on after its session had ended, and so has lost its clip."""
        with self._lock:
            if key not in self._ended:
                return False
            self._ended.remove(key)
            return True


def _delete(clip: Path | None) -> None:
    if clip is not None:
        shutil.rmtree(clip.parent, ignore_errors=True)


def private_folder() -> Path:
    """A folder only this user can read, which goes when the process ends; left-overs of dead processes go now."""
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = old.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not _alive(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # someone else's process, or no such number: not ours to sweep
        return True
    return True
