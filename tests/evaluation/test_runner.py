import json

import pytest
import tiny_data

from emollm.chat.echo import EchoBackend
from emollm.errors import DataError, RecipeError
from emollm.evaluation.cards import Card
from emollm.evaluation.floors import majority, probe
from emollm.evaluation.runner import evaluate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_data.build(tmp_path_factory.mktemp("data"))


def card(corpus, modality, labels=("happy", "sad")):
    return Card(name="c", version=1, about="", corpus=corpus, modality=modality, labels=labels, headline="accuracy")


@pytest.mark.parametrize(
    ("corpus", "modality", "labels", "n"),
    [("pics", "face", ("happy", "sad"), 12), ("talk", "speech", ("happy", "sad"), 8), ("lines", "text", ("angry", "happy", "sad"), 18)],
)
def test_results_hold_what_is_promised(folder, tmp_path, corpus, modality, labels, n):
    results = evaluate(card(corpus, modality, labels), EchoBackend(), folder, tmp_path, probe_items=0 if modality != "text" else 10)
    on_disk = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert on_disk["n"] == results["n"] == n
    assert set(on_disk) >= {"card", "n", "metrics", "floors", "split", "system", "scale"}
    assert on_disk["floors"]["majority"]["accuracy"] == pytest.approx(1 / len(labels), abs=1e-3)
    assert ("words_probe" in on_disk["floors"]) == (modality == "text")
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == n and all(sum(r["scores"].values()) == pytest.approx(1, abs=0.01) for r in rows)


def test_a_stopped_run_goes_on(folder, tmp_path):
    class Counting(EchoBackend):
        asked = 0

        def score(self, messages, labels):
            Counting.asked += 1
            if Counting.asked == 5:
                raise KeyboardInterrupt
            return super().score(messages, labels)

    backend = Counting()
    with pytest.raises(KeyboardInterrupt):
        evaluate(card("pics", "face"), backend, folder, tmp_path, probe_items=0)
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write('{"id": "half a li')  # killed while writing
    results = evaluate(card("pics", "face"), backend, folder, tmp_path, probe_items=0)
    assert results["n"] == 12 and Counting.asked == 14  # four kept, the fifth asked again, and once without a picture


def test_faults_of_data_are_named(folder, tmp_path):
    with pytest.raises(DataError, match=r"unknown corpus 'pic'.*Did you mean 'pics'"):
        evaluate(card("pic", "face"), EchoBackend(), folder, tmp_path)
    with pytest.raises(DataError, match="splits there are: train, val"):
        evaluate(card("pics", "face"), EchoBackend(), folder, tmp_path, split="test")
    with pytest.raises(DataError, match="lists no label sad"):
        evaluate(card("pics", "face", ("happy", "angry")), EchoBackend(), folder, tmp_path)
    with pytest.raises(DataError, match=r"no index\.jsonl"):
        evaluate(card("pics", "face"), EchoBackend(), tmp_path / "nowhere", tmp_path)


def test_an_unreadable_clip_counts_as_wrong(folder, tmp_path):
    import shutil
    import zipfile

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with zipfile.ZipFile(folder / "faces" / "val.zip") as old, zipfile.ZipFile(copy / "faces" / "val.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"broken" if name == "0.png" else old.read(name))

    class Reading(EchoBackend):
        def score(self, messages, labels):
            for path in messages[-1].clips:
                self.analyze(path)
            return super().score(messages, labels)

    results = evaluate(card("pics", "face"), Reading(), copy, tmp_path / "out", probe_items=0)
    assert results["n"] == 12 and results["unreadable"] == 1


def test_floors_by_hand():
    import numpy as np

    assert majority(["a", "a", "b"], ["a", "b", "b", "b"])["accuracy"] == 0.25
    rng = np.random.default_rng(0)
    train = [(np.array([x, rng.normal()]), "low" if x < 0 else "high") for x in rng.normal(0, 2, 80)]
    test = [(np.array([-3.0, 0]), "low"), (np.array([3.0, 0]), "high"), (None, "high")]
    assert probe(train, test)["accuracy"] >= 2 / 3


def test_the_encoders_alone_are_scored_like_a_system(folder, tmp_path):
    from emollm.build import build_perception
    from emollm.evaluation.heads import HeadsBackend

    backend = HeadsBackend(build_perception("emollm", "toy"), system="emollm", scale="toy", version="x")
    results = evaluate(card("talk", "speech"), backend, folder, tmp_path, probe_items=0)
    assert results["system"] == "emollm encoders" and results["n"] == 8
    assert 0 <= results["metrics"]["calibration_error"] <= 1
    with pytest.raises(RecipeError, match="--heads"):
        evaluate(card("lines", "text", ("angry", "happy", "sad")), backend, folder, tmp_path / "text", probe_items=0)


def test_spoiled_pictures_are_the_same_every_time_and_kept_apart(folder, tmp_path):
    from emollm.data.corpus import Corpus
    from emollm.evaluation.spoil import KINDS, spoil

    corpus = Corpus(folder)
    data = corpus.read(corpus.items("pics", "val")[0])
    for kind in KINDS:
        assert spoil(data, kind, "a") == spoil(data, kind, "a") != data
    assert spoil(data, "covered", "a") != spoil(data, "covered", "b")
    with pytest.raises(DataError, match="no picture"):
        spoil(b"RIFF", "blur", "a")
    evaluate(card("pics", "face"), EchoBackend(), folder, tmp_path, probe_items=0)
    results = evaluate(card("pics", "face"), EchoBackend(), folder, tmp_path, probe_items=0, spoiled="small")
    assert results["spoiled"] == "small"
    assert all(json.loads(line)["by"].endswith("-small") for line in (tmp_path / "samples.jsonl").read_text("utf-8").splitlines())
