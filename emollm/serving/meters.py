"""Counters and histograms of a server, told in Prometheus' text format. No label holds anything that a client wrote."""

from __future__ import annotations

import os
import resource
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
Labels = tuple[tuple[str, str], ...]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0


class Meters:
    """All that is counted; safe from any thread."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, Labels], float] = {}
        self._histograms: dict[tuple[str, Labels], _Histogram] = {}
        self._gauges: dict[str, Callable[[], float]] = dict(_process())
        self._lock = threading.Lock()

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a counter."""
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            self._counters[key] = self._counters.get(key, 0) + by

    def time(self, name: str, seconds: float, **labels: str) -> None:
        """Add to a histogram of seconds."""
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            found = self._histograms.setdefault(key, _Histogram())
            found.counts[bisect_left(SECONDS, seconds)] += 1
            found.total += seconds

    def watch(self, gauges: Mapping[str, Callable[[], float]]) -> None:
        """Have values asked for whenever somebody reads."""
        self._gauges |= gauges

    def text(self) -> str:
        """Everything, in Prometheus' text format."""
        with self._lock:
            counters, histograms = dict(self._counters), {k: (list(h.counts), h.total) for k, h in self._histograms.items()}
        lines: list[str] = []
        told: set[str] = set()
        for (name, labels), value in sorted(counters.items()):
            lines += _type(name, "counter", told)
            lines.append(f"{name}{_braces(labels)} {value:g}")
        for (name, labels), (counts, total) in sorted(histograms.items()):
            lines += _type(name, "histogram", told)
            lines += _histogram(name, labels, counts, total)
        for name, ask in sorted(self._gauges.items()):
            lines += _type(name, "counter" if name.endswith("_total") else "gauge", told)
            lines.append(f"{name} {ask():.10g}")
        return "\n".join(lines) + "\n"


def _type(name: str, kind: str, told: set[str]) -> list[str]:
    if name in told:
        return []
    told.add(name)
    return [f"# TYPE {name} {kind}"]


def _histogram(name: str, labels: Labels, counts: list[int], total: float) -> Iterator[str]:
    seen = 0
    for bound, count in zip((*SECONDS, None), counts, strict=True):
        seen += count
        yield f"{name}_bucket{_braces((*labels, ('le', '+Inf' if bound is None else f'{bound:g}')))} {seen}"
    yield f"{name}_sum{_braces(labels)} {total:.6g}"
    yield f"{name}_count{_braces(labels)} {seen}"


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""


def _process() -> Iterator[tuple[str, Callable[[], float]]]:
    """What the operating system knows of this process."""
    yield "process_cpu_seconds_total", lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    yield "process_threads", lambda: float(threading.active_count())
    if Path("/proc/self/statm").exists():
        yield "process_resident_memory_bytes", lambda: float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        yield "process_open_fds", lambda: float(len(os.listdir("/proc/self/fd")))
