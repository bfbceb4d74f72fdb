"""A log that nobody reads must not stop who writes it."""

import logging
import threading

from emollm.serving.logs import start_log


class Stuck(logging.Handler):
    """Writes nothing until it may."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.lines = []

    def emit(self, record):
        self.go.wait(60)
        self.lines.append(self.format(record))


def test_a_reader_who_stops_stops_nobody():
    root, stuck = logging.getLogger(), Stuck()
    before = root.level
    handler = start_log(stuck, waiting=100)
    try:
        for i in range(1000):
            logging.getLogger("emollm.serving").info("line %d", i)
        assert stuck.lines == [] and handler.left_out >= 1000 - 100 - 1
        stuck.go.set()
        while len(stuck.lines) < 1000 - handler.left_out:
            threading.Event().wait(0.01)
        assert stuck.lines[0].endswith("INFO emollm.serving: line 0")
    finally:
        stuck.go.set()
        root.removeHandler(handler)
        root.setLevel(before)
