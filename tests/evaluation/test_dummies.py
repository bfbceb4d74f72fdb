"""Answers made without looking score at or below a floor on every card, and results and report say so; references are made up."""

import json
import random
from dataclasses import asdict

import pytest

from emollm import catalog
from emollm.evaluation.answers import Reference, Said, join
from emollm.evaluation.blind import best_floor
from emollm.evaluation.blind_texts import STOCK_CAPTIONS
from emollm.evaluation.cards import FecCard, GroupCard, MeanCard, MeasureCard, SceneCard, Scored, TalkCard, load_card
from emollm.evaluation.fec import parts_of
from emollm.evaluation.group import run_group
from emollm.evaluation.predictions import score, score_mean
from emollm.evaluation.report import write_report

N = 24
WORDS = ("I did not expect it.", "Are you happy now?", "Why are you angry with me?", "We wait for the bus.", "I am so sad about it.")
CLAUSES = (
    "the brows rise", "the eyes narrow", "the mouth opens", "the corners of the mouth rise", "the head turns left", "the person nods",
    "the lips press together", "the nose wrinkles",
)  # fmt: skip
FEELINGS = ("happy", "sad", "angry", "worried", "surprise", "disgust")
CARDS = {name: load_card(name) for name in catalog.names("eval")}
LOOKING = {name for name, card in CARDS.items() if isinstance(card, SceneCard | MeasureCard | TalkCard)}  # no answers to copy
HOWS = ("one", "all", "copy", "stock")


def made_up(card: Scored) -> list[Reference]:
    """References whose truth has nothing to do with what is said."""
    rng = random.Random(card.name)
    labels = card.labels or FEELINGS
    weights = [1 / (1 + k) for k in range(len(labels))]
    found = []
    for k in range(N):
        label = labels[k] if k < min(len(labels), 8) else rng.choices(labels, weights)[0]
        words = rng.choice(WORDS)
        if card.task == "questions":
            one = (("face", label), ("voice", rng.choice(labels)), ("agree", rng.choice(("yes", "no")))) if card.labels else ORDER(rng)
            kind, key = one[k % len(one)]
            found.append(Reference(f"{k}", key, kind=kind, question=ASKED[kind], words=words))
        elif card.task in {"caption", "support"}:
            caption = f"At the beginning, {', '.join(rng.sample(CLAUSES, 3))}. Towards the end, {rng.choice(CLAUSES)} number {k}."
            found.append(Reference(f"{k}", label if card.task == "support" else None, captions=(caption,), question=words, words=words))
        elif card.task == "sentiment":
            found.append(Reference(f"{k}", value=round(rng.uniform(-1, 1) * (card.range or 1), 1), words=words))
        else:
            several = tuple(dict.fromkeys((label, *rng.choices(labels, weights, k=rng.randint(0, 2)))))
            group = {"fold": str(1 + k % card.folds)} if card.folds else {}
            found.append(Reference(f"{k}", label, several, words=words, group=group))
    return found


ASKED = {
    "face": "Which emotion does the face show?",
    "voice": "Which emotion does the voice carry?",
    "agree": "Do face and voice show the same emotion?",
    "order": "Which comes first: the brows rise, or the mouth opens?",
    "true": "Is it true that the lips purse?",
    "multiple choice": "What is shown? A. a smile B. a frown C. nothing",
    "numerical": "How many people are there?",
}


def ORDER(rng):  # noqa: N802
    first, then = rng.sample(("the brows rise", "the mouth opens"), 2)
    return (
        ("order", f"First {first}, then {then}."),
        ("true", rng.choice(("Yes, it does.", "No, it does not."))),
        ("multiple choice", rng.choice("ABC")),
        ("numerical", rng.choice(("1", "2", "3"))),
    )


def blind(card: Scored, r: Reference, how: str) -> Said:
    first = "positive" if card.task == "sentiment" else (card.labels or FEELINGS)[0]
    every = "positive, negative, neutral" if card.task == "sentiment" else ", ".join(card.labels or FEELINGS)
    if card.task == "questions" and how == "one":
        return Said({"agree": "yes", "true": "Yes.", "order": ASKED["order"], "multiple choice": "A", "numerical": "2"}.get(r.kind, first))
    if card.task == "questions" and how == "all" and not card.labels:
        return Said("Yes, no, A, B, C, 1, 2, 3")
    text = {"one": first, "all": every, "copy": r.words, "stock": STOCK_CAPTIONS[1]}[how]
    if how == "stock" and card.task == "caption":
        text = STOCK_CAPTIONS[0]
    if how == "all" and card.task == "caption":
        text = "; ".join(CLAUSES)
    return Said(text, None, text if card.task in {"support", "reply"} and how in {"one", "all"} else None)


def answered(card, references, how, folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "answers.jsonl"
    rows = [{"id": r.id, **{k: v for k, v in asdict(blind(card, r, how)).items() if v is not None}} for r in references]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def scored(card, how, out):
    references = made_up(card)
    return score(card, join(references, answered(card, references, how, out)), out, system=how, rounds=5)


def at_its_floor(results):
    key = results["headline"]
    numbers = {k: v for k, v in results["metrics"].items() if isinstance(v, int | float)}
    floor = best_floor(key, numbers, results["floors"])
    assert floor is not None and numbers[key] <= floor[1] + 1e-9, (results["card"], results["system"], numbers[key], floor)
    assert any(w.startswith(f"{key} ") and "does not exceed its floor" in w for w in results["warnings"]), results["card"]


@pytest.mark.parametrize("how", HOWS)
def test_no_card_rewards_not_looking(tmp_path, how):
    done = 0
    for name, card in CARDS.items():
        if name in LOOKING or isinstance(card, MeanCard):
            continue
        if isinstance(card, GroupCard):
            at_its_floor(run_group(card, tmp_path / name, how, lambda member, out: scored(member, how, out)))
            done += 1
        for part in parts_of(card) if isinstance(card, FecCard) else (card,) if isinstance(card, Scored) else ():
            at_its_floor(scored(part, how, tmp_path / "single" / part.name))
            done += 1
    assert done == len(CARDS) - len(LOOKING) - sum(isinstance(c, MeanCard) for c in CARDS.values()) + 1  # one card has two parts
    write_report(tmp_path / "single")
    text = (tmp_path / "single" / "report.md").read_text("utf-8")
    sections = text.split("\n## ")[1:]
    assert len(sections) >= 40 and all("**Warning.**" in s and "does not exceed its floor" in s for s in sections)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["mer-unibench", "mmeverse"])
def test_no_mean_rewards_not_looking(tmp_path, name, how):
    card = CARDS[name]
    for folder in ("said", "known"):
        (tmp_path / folder).mkdir()
    for member in card.members:
        inner = CARDS[member]
        references = made_up(inner)
        rows = [{k: v for k, v in asdict(r).items() if v not in (None, (), "", {})} for r in references]
        (tmp_path / "known" / f"{member}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        answered(inner, references, how, tmp_path / "x").replace(tmp_path / "said" / f"{member}.jsonl")
    at_its_floor(score_mean(card, tmp_path / "said", tmp_path / "known", tmp_path / "out", system=how, rounds=5))
