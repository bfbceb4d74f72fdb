"""The server's log, written by a thread of its own: whoever stops reading it does not stop the server. What does not fit is left out."""

from __future__ import annotations

import atexit
import logging
import queue
from logging.handlers import QueueHandler, QueueListener

WAITING = 10_000  # lines
LAYOUT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class PatientHandler(QueueHandler):
    """Hands lines over and never waits.

    Attributes:
        left_out: How many lines did not fit.
    """

    def __init__(self, lines: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(lines)
        self.left_out = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """See logging."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.left_out += 1


def start_log(to: logging.Handler | None = None, waiting: int = WAITING) -> PatientHandler:
    """Have everything from "info" on written, to standard error unless said otherwise; what waits is written at exit."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(waiting)
    target = to or logging.StreamHandler()
    target.setFormatter(logging.Formatter(LAYOUT))
    listener = QueueListener(lines, target)
    handler = PatientHandler(lines)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    listener.start()
    atexit.register(_stop, listener, lines)
    return handler


def _stop(listener: QueueListener, lines: queue.Queue[logging.LogRecord]) -> None:
    if listener._thread is not None and not lines.full():  # a full queue means that nobody reads: do not wait for it
        listener.stop()
