"""`emollm data mix` on a small file, as it is called."""

import json
import sys
from pathlib import Path

import pytest

from emollm.cli import main

sys.path.append(str(Path(__file__).parents[1] / "data"))
from unified_rows import row, write


def run(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(["data", "mix", *map(str, arguments)])
    return caught.value.code


def test_draws_are_written_and_shares_told(tmp_path, capsys):
    file = write(tmp_path / "some.jsonl", [row(c, i, ["intent"]) for c, n in (("mintrec", 5), ("mintrec2", 9)) for i in range(n)])
    out = tmp_path / "drawn.jsonl"
    assert not run("p2e-2", file, "--count", 100, "--seed", 3, "--out", out)
    said = capsys.readouterr().out
    assert "mintrec: 24.00% (wanted 24.00%): intent 24.00%" in said and "100 draws from 14 samples" in said
    drawn = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(drawn) == 100 and {d["kind"] for d in drawn} == {"intent"}
    for one in drawn:
        assert one["answer"] == one["sample"]["tasks"][0]["label"] and one["answer"] in one["options"]
        assert ", ".join(one["options"]) in one["question"]


def test_a_missing_corpus_ends_it(tmp_path, capsys):
    file = write(tmp_path / "some.jsonl", [row("mintrec", 0, ["intent"])])
    assert run("p2e-2", file) == 2
    assert "emollm data build mintrec2" in capsys.readouterr().err
