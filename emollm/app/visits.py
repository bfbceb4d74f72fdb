"""One browser session of the app: its clips on disk, its conversation, and how both are forgotten.

Knows files and messages; knows neither gradio nor models. All clips of a process lie in one private folder that goes with the process;
what a killed process left behind is swept away by the next one.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

from emollm import private
from emollm.chat.backend import Reply
from emollm.errors import MediaError
from emollm.values import Analysis, Message

_PREFIX = "emollm-app-"
_REMEMBERED_ENDS = 1000
MOST_CLIPS = 8  # of one session


@dataclass(frozen=True, slots=True)
class Open:
    """A clip that was looked at."""

    number: int  # as people are told it, from 1
    path: Path
    analysis: Analysis


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with its answer."""

    asked: str  # as it was put to the model
    answer: str
    about: tuple[int, ...]  # numbers of the clips it was about
    shown: str = ""  # as the page shows the question, where that is another language
    rests: str = ""  # what was measured in those clips, for the fold before the answer


@dataclass(frozen=True, slots=True)
class Gone:
    """What was deleted."""

    clips: tuple[str, ...] = ()
    messages: int = 0


@dataclass
class Visit:
    """Clips and conversation of one session. `epoch` grows when they are deleted, so that work under way can tell."""

    folder: Path
    language: str = "en"
    clips: list[Open] = field(default_factory=list)
    chosen: tuple[int, ...] = ()  # numbers of the clips that are shown and asked about
    offered: list[Path] = field(default_factory=list)  # taken in, but not yet known to be readable
    turns: list[Turn] = field(default_factory=list)
    suggested: list[tuple[str, str]] = field(default_factory=list)  # as shown, as asked
    epoch: int = 0
    counted: int = 0
    reply: Reply | None = None
    stopping: bool = False
    looking: bool = False
    answering: int = 0  # answers that are being written; they alone write the conversation meanwhile
    reading: int | None = None  # number of the clip whose words are to be read next
    lock: threading.Condition = field(default_factory=threading.Condition)

    def offer(self, source: Path, *, keep: bool) -> None:
        """Take in a copy of a clip, under an address nobody can guess; `keep` leaves the source where it is.

        Raises:
            MediaError: If the source has gone, or there are too many clips.
        """
        if len(self.clips) + len(self.offered) >= MOST_CLIPS:
            if not keep:
                source.unlink(missing_ok=True)
            raise MediaError(f"{MOST_CLIPS} clips are open; remove one before you add {source.name}.", code="too_many_clips")
        target = self.folder / secrets.token_hex(16) / source.name
        target.parent.mkdir(mode=0o700)
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            shutil.rmtree(target.parent)
            reason = error.strerror or type(error).__name__
            raise MediaError(f"{source.name} could not be taken in: {reason}. Load the clip again.", code="not_found") from error
        if not keep:
            source.unlink(missing_ok=True)
        with self.lock:
            self.offered.append(target)

    def accept(self, path: Path, analysis: Analysis) -> bool:
        """An offered clip joins the others, and what is asked from now on is about it. False if it was taken back meanwhile."""
        with self.lock:
            if path not in self.offered:
                return False
            self.offered.remove(path)
            self.counted += 1
            self.clips.append(Open(self.counted, path, analysis))
            self.chosen = (self.counted,)
            self.lock.notify_all()
            return True

    def settled(self, timeout_s: float) -> bool:
        """Wait until every offered clip is open or refused; False if that took too long."""
        with self.lock:
            return self.lock.wait_for(lambda: not self.offered, timeout_s)

    def learn(self, number: int, analysis: Analysis) -> None:
        """More is known of a clip, if it is still open."""
        with self.lock:
            self.clips = [replace(clip, analysis=analysis) if clip.number == number else clip for clip in self.clips]

    def refuse(self, path: Path | None = None) -> None:
        """Delete an offered clip, or all of them; those that are open stay."""
        with self.lock:
            gone = [one for one in self.offered if path in (None, one)]
            self.offered = [one for one in self.offered if one not in gone]
            self.lock.notify_all()
        for one in gone:
            _delete(one)

    def shown(self) -> list[Open]:
        """The clips that are chosen, in the order of the choice."""
        return [clip for number in self.chosen for clip in self.clips if clip.number == number]

    def choose(self, number: int) -> None:
        """Show one clip."""
        if any(clip.number == number for clip in self.clips):
            self.chosen = (number,)

    def compare(self) -> None:
        """Show the present clip beside the one before it, or one alone again."""
        numbers = [clip.number for clip in self.clips]
        if len(self.chosen) > 1:
            self.chosen = self.chosen[-1:]
        elif len(numbers) > 1:
            other = next(n for n in reversed(numbers) if n not in self.chosen)
            self.chosen = tuple(sorted((other, *self.chosen)))

    def close(self, number: int) -> Open | None:
        """Take one clip out and delete it; what was said about it stays to be read."""
        clip = next((one for one in self.clips if one.number == number), None)
        if clip is None:
            return None
        self.clips.remove(clip)
        left = tuple(n for n in self.chosen if n != number)
        self.chosen = left or tuple(one.number for one in self.clips[-1:])
        _delete(clip.path)
        return clip

    def stop(self) -> None:
        """Ask whatever runs for this session to end soon."""
        self.stopping = True
        if self.reply is not None:
            self.reply.cancel()

    def clear(self) -> None:
        """Forget the conversation; the clips stay."""
        self.stop()
        self.epoch += 1
        self.turns = []

    def forget(self) -> Gone:
        """Forget conversation and clips, at once, and say what there was."""
        gone = Gone(tuple(clip.path.name for clip in self.clips), 2 * len(self.turns))
        self.clear()
        self.refuse()
        for clip in list(self.clips):
            self.close(clip.number)
        self.counted = 0
        return gone

    def messages(self, question: str, about: tuple[int, ...]) -> list[Message]:
        """What the backend reads: the turns about the same clips and the question; the clips hang on the first of them."""
        asked: list[Message] = []
        for turn in self.turns:
            if turn.about == about:
                asked += [Message("user", turn.asked), Message("assistant", turn.answer)]
        asked.append(Message("user", question))
        paths = tuple(clip.path for number in about for clip in self.clips if clip.number == number)
        return [replace(asked[0], clips=paths), *asked[1:]]


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
            if visit is not None and (visit.clips or visit.turns):
                self._ended.append(key)
        if visit is not None:
            visit.forget()

    def came_back(self, key: str) -> bool:
        """True once for a page that goes on after its session had ended, and so has lost its clips."""
        with self._lock:
            if key not in self._ended:
                return False
            self._ended.remove(key)
            return True


def _delete(clip: Path) -> None:
    shutil.rmtree(clip.parent, ignore_errors=True)


def private_folder() -> Path:
    """The folder of this process's clips; see `emollm.private`."""
    return private.private_folder(_PREFIX)
