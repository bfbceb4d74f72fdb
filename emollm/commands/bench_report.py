"""What a bench found, on which machine: as a table, as JSON, and against an earlier one."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emollm import markdown
from emollm.errors import EmollmError

PACKAGES = ("torch", "transformers", "openvino", "av", "fastapi", "uvicorn", "llama_cpp_python")


@dataclass(frozen=True, slots=True)
class Report:
    """One bench."""

    bench: str  # "clip", "measure", "decode", "serve", "page" or "train"
    asked: Mapping[str, Any]  # system, scale, engine, threads, ...
    machine: Mapping[str, Any]
    runs: Sequence[Mapping[str, float]]

    @property
    def medians(self) -> dict[str, float]:
        """Of each measure, over the runs."""
        return {name: round(statistics.median(run[name] for run in self.runs), 3) for name in self.runs[0]}

    def markdown(self, before: Report | None = None) -> str:
        """A table; with an earlier report also its medians and how many times as large the new ones are."""
        head = ("measure", f"median of {len(self.runs)}", "lowest", "highest", *(("before", "ratio") if before is not None else ()))
        rows: list[tuple[object, ...]] = []
        earlier = before.medians if before is not None else {}
        for name, value in self.medians.items():
            low, high = min(run[name] for run in self.runs), max(run[name] for run in self.runs)
            old = earlier.get(name)
            beside = ("" if old is None else old, f"{value / old:.2f}" if old else "") if before is not None else ()
            rows.append((name.replace("_", " "), value, f"{low:.3f}", f"{high:.3f}", *beside))
        return markdown.table(head, rows)

    def json(self) -> str:
        """Everything."""
        return json.dumps({**asdict(self), "median": self.medians}, indent=1)


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, memory, versions, how busy it was, and which commit ran."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "load": round(os.getloadavg()[0], 2)
        if hasattr(os, "getloadavg")
        else None,  # at the start; beyond `cores` the figures are of little worth
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def read(path: Path, bench: str) -> Report:
    """A report that was written before.

    Raises:
        EmollmError: If it cannot be read, or is of another bench.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        report = Report(data["bench"], data["asked"], data["machine"], data["runs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmollmError(f"{path} is no report of `emollm bench --out` ({type(error).__name__}).") from None
    if report.bench != bench:
        raise EmollmError(f"{path} is a report of the bench {report.bench!r}, and this is {bench!r}; only like can be compared.")
    return report


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")


def _commit() -> str | None:
    here = Path(__file__).parent
    done = subprocess.run(["git", "-C", str(here), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
