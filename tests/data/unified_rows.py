"""Synthetic unified samples, one after another, for mixtures and prompts."""

import json

from emollm.data.schema import UnifiedSample, level_of

LABELS = ["anger", "fear", "happy", "neutral", "sad", "surprise"]
INTENTS = ["agree", "complain", "greet", "joke", "thank"]


def task(kind, number):
    """A task with which a sample can be asked a kind."""
    if kind in ("emotion", "sentiment", "intent"):
        names = {"emotion": LABELS, "sentiment": ["negative", "neutral", "positive"], "intent": INTENTS}[kind]
        return {"type": kind, "label": names[number % len(names)], "label_set": names}
    if kind == "multi-label":
        return {"type": kind, "labels": [LABELS[number % 6], LABELS[(number + 4) % 6]], "label_set": LABELS}
    if kind == "open-vocabulary":
        return {"type": kind, "labels": ["uneasy", "hopeful"][: 1 + number % 2]}
    if kind == "valence":
        return {"type": kind, "value": -1.5, "scale": [-3.0, 3.0]}
    if kind == "question":
        return {"type": kind, "question": "Do the brows move?", "answer": "Yes, they rise."}
    return {"type": {"think": "reason", "empathy-chain": "empathy"}.get(kind, "describe" if kind.startswith("describe-") else kind)}


def row(corpus, number, kinds, *, split="train", media=None, **changes):
    """A sample that can be asked all of some kinds."""
    asked = {t["type"]: t for t in (task(k, number) for k in kinds)}
    if "think" in kinds and not asked.keys() & {"emotion", "sentiment", "intent", "multi-label", "open-vocabulary"}:
        asked["emotion"] = task("emotion", number)
    whole = {
        "schema_version": 1,
        "id": f"{corpus}/{number}",
        "corpus": corpus,
        "split": split,
        "media": {"video": f"{corpus}/{number}.mp4"} if media is None else media,
        "transcript": f"This is line {number}.",
        "tasks": list(asked.values()),
        "level": level_of(asked),
        "licence": "none, invented",
    }
    described = [k.removeprefix("describe-") for k in kinds if k.startswith("describe-")]
    described += ["multimodal"] if {"reason", "think"} & set(kinds) else []
    if described:
        whole["descriptions"] = {name: {"text": f"What is to be said of the {name}.", "origin": "human"} for name in described}
    if {"empathy", "empathy-chain"} & set(kinds):
        whole["reply"] = "That sounds hard. I am here."
        whole["history"] = [{"role": "user", "text": "I lost my keys."}]
    if "empathy-chain" in kinds:
        whole["chain_of_empathy"] = {"event": "lost keys", "emotion": "upset", "cause": "no way home", "goal": "to calm"}
    return {**whole, **changes}


def sample(kind, number=0, **changes):
    return UnifiedSample.model_validate_json(json.dumps(row("made", number, [kind], **changes)))


def write(path, rows):
    path.write_text("".join(f"{json.dumps(r)}\n" for r in rows), "utf-8")
    return path
