"""Results say how they were made; a run through the command names its recipe."""

import json
import shutil

import pytest
import tiny_data
from eval_command import evaluated

from emollm import __version__
from emollm.evaluation.results import rewrite, sign, write
from emollm.recipe import load_recipe


def test_results_say_when_where_and_with_which_seed(tmp_path):
    found = write(tmp_path / "new" / "folder", {"card": "c", "headline": "uar", "n": 1}, seed=7)
    assert json.loads((tmp_path / "new" / "folder" / "results.json").read_text("utf-8")) == found
    assert found["seed"] == 7 and found["emollm"] == __version__ and found["recipe_hash"] is None
    where = found["environment"]
    assert where["python"].startswith("3.") and where["torch"] and where["transformers"] and where["platform"]
    assert where["device"] in {"cpu", "cuda"} and where["date"].endswith("+00:00")


def test_signing_reaches_every_member(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, {"card": name, "headline": "uar"})
    sign(tmp_path, recipe_hash="abc")
    assert [json.loads((tmp_path / n / "results.json").read_text("utf-8"))["recipe_hash"] for n in "ab"] == ["abc", "abc"]
    assert not list(tmp_path.rglob("*.part"))
    rewrite(tmp_path / "a", {"card": "a"})
    assert json.loads((tmp_path / "a" / "results.json").read_text("utf-8")) == {"card": "a"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_data.build(tmp_path_factory.mktemp("data"))


def test_a_run_names_its_recipe_prompts_and_groups_and_gives_the_same_figures_again(folder, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    rows = [json.loads(line) for line in (data / "index.jsonl").read_text("utf-8").splitlines()]
    for k, row in enumerate(rows):
        if row["source"] == "talk":
            row |= {"gender": "FM"[k % 2], "age": 20 + 5 * k, "lang": "en" if k % 3 else "de"}
    (data / "index.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    card = tmp_path / "own.toml"
    card.write_text(
        'name = "own"\nversion = 3\nabout = ""\ncorpus = "talk"\nmodality = "speech"\nlabels = ["happy", "sad"]\nheadline = "accuracy"\n',
        "utf-8",
    )
    found = []
    for name in ("one", "two"):
        code, _, error = evaluated(
            capsys, card, "--data", data, "--scale", "toy", "--threads", "1", "--probe-items", "0", "--out", tmp_path / name
        )
        assert code == 0, error
        found.append(json.loads((tmp_path / name / "results.json").read_text("utf-8")))
    first, again = ({k: v for k, v in r.items() if k != "environment"} for r in found)
    assert first == again
    assert first["recipe_hash"] == load_recipe("emollm").hash and first["card_version"] == 3 and found[0]["environment"]["threads"] == 1
    assert set(first["groups"]) == {"sex", "age", "language"} and {"n", "accuracy"} <= set(first["groups"]["sex"]["female"])
    samples = [json.loads(line) for line in (tmp_path / "one" / "samples.jsonl").read_text("utf-8").splitlines()]
    assert all({"prompt", "answer", "scores", "right"} <= set(row) for row in samples) and "happy" in samples[0]["prompt"]
