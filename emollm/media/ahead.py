"""The next items of a slow iterator are made in another thread while the last one is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
FEW = 3  # a picture of 1280 x 720 is 3 MB
_END = object()


def ahead(items: Iterable[T], few: int = FEW) -> Generator[T]:
    """The same items in the same order; at most `few` wait. What the iterator raises is raised here.

    Closed early, it lets the iterator come to the end of the item it is at, closes it and returns: the file is free then.
    """
    made: queue.Queue[object] = queue.Queue(few)
    enough = threading.Event()
    fault: list[BaseException] = []

    def put(item: object) -> None:
        while not enough.is_set():
            try:
                made.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def make() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                put(item)
                if enough.is_set():
                    break
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            fault.append(error)
        finally:
            if (close := getattr(iterator, "close", None)) is not None:
                close()
            put(_END)

    maker = threading.Thread(target=make, name="emollm-ahead", daemon=True)
    maker.start()
    try:
        while (item := made.get()) is not _END:
            yield item  # type: ignore[misc]
        if fault:
            raise fault[0]
    finally:
        enough.set()
        maker.join()
