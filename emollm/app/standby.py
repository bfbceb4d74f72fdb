"""A chat backend that loads in the background, so that the page is there at once, and that can be changed for another while it runs.

Asked before it is ready, it waits. Knows no page and no recipe: how a backend is made is handed in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emollm.chat.backend import ChatBackend, Progress, Reply
from emollm.errors import BackendError, EmollmError
from emollm.values import Analysis, Message, Sampling

Maker = Callable[[str, str], ChatBackend]  # system, scale


@dataclass(frozen=True, slots=True)
class State:
    """What to tell people about the backend."""

    system: str  # that answers, or is being loaded first
    scale: str
    ready: bool
    loading: tuple[str, str] | None = None  # system and scale on their way
    fault: str = ""  # why the last load failed


class Standby:
    """Loads with `make` in a thread of its own.

    Args:
        make: Builds a backend of a system and scale; slow.
        system: Loaded first.
        scale: Of it.
        ready: A backend that is there already, instead of loading.
    """

    def __init__(self, make: Maker, system: str, scale: str, ready: ChatBackend | None = None) -> None:
        self._make = make
        self._asked = (system, scale)
        self._backend = ready
        self._loading: tuple[str, str] | None = None
        self._fault: Exception | None = None
        self._changed = threading.Condition()

    @classmethod
    def around(cls, backend: ChatBackend, make: Maker | None = None) -> Standby:
        """One that is ready from the start; without `make` it cannot be changed."""
        return cls(make or _no_other, backend.system, backend.scale, backend)

    def load(self, system: str | None = None, scale: str | None = None) -> bool:
        """Begin to load; the backend before answers meanwhile. False if a load is under way."""
        with self._changed:
            if self._loading is not None:
                return False
            self._loading = (system or self._asked[0], scale or self._asked[1])
            self._fault = None
        threading.Thread(target=self._fetch, args=self._loading, name="emollm-loader", daemon=True).start()
        return True

    def _fetch(self, system: str, scale: str) -> None:
        fault: Exception | None = None
        backend: ChatBackend | None = None
        try:
            backend = self._make(system, scale)
        except Exception as error:  # noqa: BLE001  told to whoever asks, and to the page
            fault = error
        with self._changed:
            self._loading, self._fault = None, fault
            if backend is not None:
                self._backend, self._asked = backend, (system, scale)
            self._changed.notify_all()

    def state(self) -> State:
        """How things stand now."""
        with self._changed:
            fault = str(self._fault) if isinstance(self._fault, EmollmError) else type(self._fault).__name__ if self._fault else ""
            return State(*self._asked, self._backend is not None, self._loading, fault)

    def settled(self, timeout_s: float | None = None) -> bool:
        """Wait until no load is under way; False if that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._loading is None, timeout_s)

    def there(self, timeout_s: float | None = None) -> ChatBackend | None:
        """The backend once there is one; None if that took too long.

        Raises:
            EmollmError: What the load failed with.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._backend is not None or self._loading is None, timeout_s)
            if self._backend is not None:
                return self._backend
            if self._fault is not None:
                raise self._fault
            if self._loading is None:
                raise BackendError("no model was loaded; start the app again.", code="not_ready")
            return None

    # -- the backend's own members

    @property
    def system(self) -> str:
        """Name of the system that answers."""
        return self._asked[0]

    @property
    def scale(self) -> str:
        """Its scale."""
        return self._asked[1]

    @property
    def version(self) -> str:
        """See ChatBackend."""
        return self._now().version

    def _now(self) -> ChatBackend:
        backend = self.there()
        assert backend is not None
        return backend

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """See ChatBackend."""
        return self._now().analyze(path, progress)

    def forget(self, path: Path) -> None:
        """See ChatBackend; one that is not there yet knows nothing to forget."""
        if self._backend is not None:
            self._backend.forget(path)

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """See ChatBackend."""
        return self._now().reply(messages, sampling)

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> Mapping[str, float]:
        """See ChatBackend."""
        return self._now().score(messages, labels)


def _no_other(system: str, scale: str) -> ChatBackend:
    raise BackendError(f"this page was opened with one backend only; start emollm app --system {system} --scale {scale}.", code="fixed")
