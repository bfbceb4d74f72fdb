import threading
import time

import pytest

from emollm.media.ahead import ahead


def test_the_same_items_in_the_same_order():
    assert list(ahead(range(100))) == list(range(100)) and list(ahead([])) == []


def test_items_are_made_while_the_last_is_worked_on_but_only_a_few():
    made: list[int] = []

    def make():
        for i in range(20):
            made.append(i)
            yield i

    items = ahead(make(), few=2)
    assert next(items) == 0
    end = time.monotonic() + 20
    while len(made) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    assert made == [0, 1, 2, 3]  # one is given out, two wait, one waits to be put
    assert list(items) == list(range(1, 20))


def test_a_fault_comes_after_what_was_made_before_it():
    def make():
        yield 1
        raise ValueError("broken file")

    items = ahead(make())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken file"):
        next(items)


def test_who_stops_early_frees_the_source_and_its_thread():
    closed = []

    def make():
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    items = ahead(make())
    next(items)
    items.close()
    assert closed == ["emollm-ahead"] and threading.active_count() == before
