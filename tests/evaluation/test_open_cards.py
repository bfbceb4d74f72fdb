"""Cards over a data folder: what they take from it, their floors, and answers made without looking, which must be told as such."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import tiny_data
from eval_command import evaluated

from emollm.chat.echo import EchoBackend
from emollm.data.corpus import Corpus
from emollm.errors import DataError
from emollm.evaluation import answers, given
from emollm.evaluation.cards import GroupCard, PairCard, SupportCard, load_card
from emollm.evaluation.dialogues import evaluate_support, held_out, references_of_troubles, troubles
from emollm.evaluation.given import held_by
from emollm.evaluation.pairs import evaluate_pairs, pairs_of, references_of_pairs

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
GROUPS = ("open-faces", "open-speech", "open-text")
CARDS = [*sorted({m for g in GROUPS for m in load_card(g).members}), "open-empathy", "open-pairs"]
PAIRS = PairCard(
    name="pairs", version=1, kind="pairs", about="", task="questions", labels=("happy", "sad"), headline="agree_accuracy", faces=("pics",),
    voices=("talk",), pairs=8, seed=1, limit=8,
)  # fmt: skip
SUPPORT = SupportCard(
    name="support", version=1, kind="support", about="", task="support", labels=("sadness", "anger"), headline="rouge_l", corpus="help",
    share=1.0, limit=50,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tiny_data.build(tmp_path_factory.mktemp("open"))
    troubles_ = ["My dog died", "I lost my job", "We broke up", "Nobody calls me"]
    with (home / "index.jsonl").open("a", encoding="utf-8") as file:
        for k, trouble in enumerate(troubles_):
            turns = [
                {"role": "seeker", "text": f"{trouble} last week.", "strategy": None},
                {"role": "supporter", "text": "Oh no.", "strategy": None},
                {"role": "seeker", "text": "I cannot sleep since then.", "strategy": None},
                {"role": "supporter", "text": f"It must be hard that {trouble.lower()}; who of your friends knows about it, number {k}?"},
            ]
            label = ("sadness", "anger", "sadness", None)[k]
            row = {"id": f"help:{k}", "modality": "dialogue", "source": "help", "split": "train", "label": label, "turns": turns}
            file.write(json.dumps(row) + "\n")
    return home


def test_the_groups_hold_cards_of_a_folder():
    for name in GROUPS:
        assert isinstance(load_card(name), GroupCard)
    assert load_card("open-goemotions").headline == "macro_f1" and len(load_card("open-goemotions").labels) == 28


def test_pairs_agree_by_halves_and_are_the_same_every_time(folder):
    found = pairs_of(PAIRS, Corpus(folder), "val")
    assert [p.face.label == p.voice.label for p in found] == [True, False] * 4
    assert [(p.face.id, p.voice.id) for p in found] == [(p.face.id, p.voice.id) for p in pairs_of(PAIRS, Corpus(folder), "val")]
    assert len({p.face.id for p in found}) == 8
    kinds = [r.kind for r in references_of_pairs(PAIRS, found)]
    assert kinds == ["face", "voice", "agree"] * 8
    with pytest.raises(DataError, match="face angry"):
        pairs_of(PAIRS.model_copy(update={"labels": ("happy", "angry")}), Corpus(folder), "val")


def test_pairs_are_filmed_and_asked_about(folder, tmp_path):
    class Watching(EchoBackend):
        def score(self, messages, labels):
            for path in messages[-1].clips:
                seen = self.analyze(path)
                assert seen.kind == "video" and seen.duration_s > 1
            return {label: float(k == 0) for k, label in enumerate(labels)}

    found = evaluate_pairs(PAIRS, Watching(), folder, tmp_path)
    assert found["metrics"]["agree_accuracy"] == 0.5 and found["metrics"]["face_accuracy"] == 0.5
    assert {"text_only", "shuffled_media", "majority", "copied"} <= set(found["floors"])
    assert found["groups"]["pair"]["agrees"]["agree_accuracy"] == 1.0
    assert any(w.startswith("agree_accuracy 0.500 does not exceed") for w in found["warnings"])


def test_dialogues_are_held_out_by_their_ids_and_told_as_seen(folder, tmp_path):
    assert sum(held_out(f"d{k}", 0.25) for k in range(4000)) == pytest.approx(1000, abs=90)
    found = troubles(SUPPORT, Corpus(folder))
    assert len(found) == 4 and found[0].turns[-1].text.startswith("I cannot sleep") and found[3].emotion is None
    results = evaluate_support(SUPPORT, EchoBackend(), folder, tmp_path, similarity=lambda a, b: [1.0] * len(a))
    assert results["metrics"]["similarity"] == 1.0 and results["metrics"]["labelled"] == 3.0
    assert "4 of 4 dialogues are marked as training data" in results["warnings"][0]
    assert {"text_only", "shuffled_media", "copied", "best_constant"} <= set(results["floors"])
    assert 0 <= results["metrics"]["emotion_accuracy"] <= 1


def test_a_good_reply_beats_the_floors(folder, tmp_path):
    references = references_of_troubles(troubles(SUPPORT, Corpus(folder)))
    path = _write(tmp_path / "p.jsonl", [{"id": r.id, "prediction": r.captions[0], "emotion": r.label or "sadness"} for r in references])
    from emollm.evaluation.answers import join
    from emollm.evaluation.predictions import score

    found = score(SUPPORT, join(references, path), tmp_path / "o", system="person")
    assert found["metrics"]["rouge_l"] == 1.0 == found["metrics"]["emotion_accuracy"] and not found["warnings"]


def _write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def _blind(card, references, how):
    """Answers made without looking: one label, all labels, what was said, or a stock sentence."""
    first = card.labels[0]
    for r in references:
        text = {"one": first, "all": ", ".join(card.labels), "copy": r.question or "what a day", "stock": "The person looks calm."}[how]
        if card.task == "multi-label":
            yield {"id": r.id, "prediction": [first] if how == "one" else list(card.labels) if how == "all" else text}
        elif card.task == "support":
            yield {"id": r.id, "prediction": text, "emotion": text if how in {"one", "all"} else ""}
        elif how == "one" and r.kind == "agree":
            yield {"id": r.id, "prediction": "yes"}
        else:
            yield {"id": r.id, "prediction": text}


@pytest.fixture(scope="module")
def known():
    """A few references of every open card; the folder is read once."""
    with pytest.MonkeyPatch.context() as patch:
        corpus = Corpus(DATA)
        for module in (given, answers):
            patch.setattr(module, "Corpus", lambda _: corpus)
        return {name: held_by(load_card(name), DATA, "val")[:90] for name in CARDS}


@pytest.mark.skipif(not (DATA / "index.jsonl").is_file(), reason="needs the data folder")
@pytest.mark.parametrize("how", ["one", "all", "copy", "stock"])
def test_answers_without_looking_are_told_on_every_open_card(known, tmp_path, capsys, how):
    for name in CARDS:
        card = load_card(name)
        truth = _write(tmp_path / "truth.jsonl", [{k: v for k, v in asdict(r).items() if v not in (None, ())} for r in known[name]])
        said = _write(tmp_path / f"{name}.jsonl", list(_blind(card, known[name], how)))
        code, text, _ = evaluated(capsys, name, "--predictions", said, "--references", truth, "--out", tmp_path / "o" / name)
        found = json.loads((tmp_path / "o" / name / "results.json").read_text("utf-8"))
        assert code == 0 and f"{name}: {card.headline} " in text and "does not exceed its floor" in text, name
        best = max(f[card.headline] for f in found["floors"].values())
        assert found["metrics"][card.headline] <= best, name
    evaluated(capsys, "--report", tmp_path / "o")
    report = (tmp_path / "o" / "report.md").read_text("utf-8")
    assert report.count("does not exceed its floor") >= len(CARDS)


def test_a_group_is_scored_from_a_folder_of_answers(folder, tmp_path, capsys):
    for corpus, labels in (("pics", ["happy", "sad"]), ("lines", ["angry", "happy", "sad"])):
        modality = "face" if corpus == "pics" else "text"
        (tmp_path / f"{corpus}.toml").write_text(
            f'name = "{corpus}"\nversion = 1\nabout = ""\ncorpus = "{corpus}"\nmodality = "{modality}"\nlabels = {json.dumps(labels)}\n'
            'headline = "accuracy"\n'
        )
        (tmp_path / "said").mkdir(exist_ok=True)
        items = Corpus(folder).items(corpus, "val")
        _write(tmp_path / "said" / f"{corpus}.jsonl", [{"id": i.id, "prediction": i.label if corpus == "pics" else "sad"} for i in items])
    members = [str(tmp_path / "pics.toml"), str(tmp_path / "lines.toml")]
    (tmp_path / "both.toml").write_text(
        f'name = "both"\nversion = 1\nkind = "group"\nabout = ""\nmembers = {json.dumps(members)}\nheadline = "mean"\nlimit = 4\n'
        "probe_items = 0\n"
    )
    out = tmp_path / "o"
    arguments = [tmp_path / "both.toml", "--data", folder, "--out", out]
    code, text, _ = evaluated(capsys, *arguments, "--predictions", tmp_path / "said")
    assert code == 0 and "**0.667**" in text  # (1 + 1/3) / 2
    assert json.loads((out / "results.json").read_text("utf-8"))["members"] == {"pics": 1.0, "lines": 0.3333}
    assert "both averages cards" in evaluated(capsys, *arguments, "--predictions", tmp_path / "said" / "pics.jsonl")[2]
    code, text, error = evaluated(capsys, *arguments, "--scale", "toy", "--threads", "1")
    assert code == 0, error
    assert "| both | val | 8 | mean |" in text
    pics = json.loads((out / "pics" / "results.json").read_text("utf-8"))
    assert pics["n"] == 4 and {"text_only", "shuffled_media", "majority"} <= set(pics["floors"]) and "warnings" in pics
