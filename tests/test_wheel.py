"""The wheel holds one top-level name and works from another folder, without the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)], check=True, capture_output=True
    )
    (path,) = out.glob("*.whl")
    return path


def test_one_top_level_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {n.split("/")[0] for n in archive.namelist()}
        names = set(archive.namelist())
    assert {t for t in tops if not t.endswith(".dist-info")} == {"emollm"}
    for needed in (
        "adapters/emollm.toml",
        "instruct_data/prompts/dialogue.toml",
        "instruct_data/samples/sample_joy.mp4",
        "eval/open_meld.toml",
    ):
        assert f"emollm/catalog_data/{needed}" in names
    assert {"emollm/app/page_files/app.css", "emollm/exports/page/clip.js", "emollm/texts/de.toml"} <= names
    assert sum(Path(n).suffix == ".safetensors" for n in names) >= 4


def test_works_from_another_folder(wheel, tmp_path):
    home = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    code = (
        "import emollm, sys; from emollm import catalog; from emollm.cli import main\n"
        f"assert emollm.__file__.startswith({str(home)!r}), emollm.__file__\n"
        f"assert str(catalog.folder('adapters')).startswith({str(home)!r})\n"
        "main(['systems'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(home), "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "emollm" in done.stdout and "conversation" in done.stdout
