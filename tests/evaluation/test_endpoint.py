"""The same card through `--endpoint` gives the same answers as the system in this process: labels and free answers."""

import json

import pytest
import tiny_data
from eval_command import evaluated
from paths import SAMPLES
from servers import served

from emollm import load
from emollm.chat.remote import RemoteBackend
from emollm.evaluation.cards import FecCard
from emollm.evaluation.fec import evaluate_fec

FEC = FecCard(
    name="films", version=1, kind="fec", about="", request="Describe the facial movements in order.", questions=2, headline="tem", limit=1,
    floor_clips=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def backend():
    return load("emollm", scale="toy", threads=1)


@pytest.fixture(scope="module")
def url(backend):
    with served(backend) as address:
        yield address


def rows(path):
    return {row["id"]: row for row in map(json.loads, path.read_text("utf-8").splitlines())}


def test_labels(tmp_path, url, capsys):
    (tmp_path / "data").mkdir()
    data = tiny_data.build(tmp_path / "data", faces=4, voices=2)
    cards = []
    for corpus, modality, labels in (("pics", "face", ["happy", "sad"]), ("lines", "text", ["angry", "happy", "sad"])):
        cards.append(tmp_path / f"{corpus}.toml")
        cards[-1].write_text(
            f'name = "{corpus}"\nversion = 1\nabout = ""\ncorpus = "{corpus}"\nmodality = "{modality}"\nlabels = {json.dumps(labels)}\n'
            'headline = "accuracy"\n',
            "utf-8",
        )
    for name, who in (("here", ["--scale", "toy", "--threads", "1"]), ("there", ["--endpoint", url])):
        code, _, error = evaluated(capsys, *cards, "--data", data, "--probe-items", "0", "--out", tmp_path / name, *who)
        assert code == 0, error
    for card in ("pics", "lines"):
        here, there = rows(tmp_path / "here" / card / "samples.jsonl"), rows(tmp_path / "there" / card / "samples.jsonl")
        assert set(here) == set(there) and len(here) >= 4
        for name, row in here.items():
            assert (row["answer"], row["prompt"]) == (there[name]["answer"], there[name]["prompt"])
            assert there[name]["scores"] == pytest.approx(row["scores"], abs=2e-4)
        results = [json.loads((tmp_path / side / card / "results.json").read_text("utf-8")) for side in ("here", "there")]
        assert results[0]["metrics"]["accuracy"] == results[1]["metrics"]["accuracy"]
        assert results[0]["weights"] == results[1]["weights"] and results[1]["endpoint"] == url
        assert results[0]["recipe_hash"] and results[1]["recipe_hash"] is None  # what stands behind an address is not known


def test_free_answers(tmp_path, backend, url):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "val-0.mp4").write_bytes((SAMPLES / "sample_joy.mp4").read_bytes())
    asked = [("Which comes first: the mouth opens, or the brows rise?", "First the brows rise, then the mouth opens.", "order")]
    row = {
        "name": "val-0",
        "path": "clips/val-0.mp4",
        "people": [{"main": True, "appearance": {"age": "young"}}],
        "captions": [
            {
                "plain": "The brows rise. Then the mouth opens.",
                "questions": [dict(zip(("question", "answer", "kind"), q, strict=True)) for q in asked],
            }
        ],
        "questions": [],
    }
    (tmp_path / "truth.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    remote = RemoteBackend(url)
    try:
        for name, who in (("here", backend), ("there", remote)):
            evaluate_fec(FEC, who, tmp_path, tmp_path / name)
    finally:
        remote.close()
    here, there = (rows(tmp_path / side / "answers.jsonl") for side in ("here", "there"))
    assert set(here) == set(there) and {"val-0", "val-0:0", "text_only:caption"} <= set(here)
    assert {k: r.get("prediction") for k, r in here.items()} == {k: r.get("prediction") for k, r in there.items()}
    assert all(r["prompt"] for k, r in here.items() if not k.startswith("measured")) and any(r["prediction"] for r in here.values())
