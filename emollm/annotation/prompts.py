"""What an agent that is a model is asked, filled from what was measured; and how its answer is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from emollm.annotation.finding import AgentName, Finding
from emollm.annotation.verify import sentences
from emollm.data.prompts import pools
from emollm.verdict import EMOTIONS

POOL = "annotate"
_EMOTION_LINE = re.compile(r"^\W*emotion\W+(\w+)\W*$", re.IGNORECASE)
_VERDICT_LINE = re.compile(r"^\W*(\d+)\W+(supported|unsupported)\b", re.IGNORECASE | re.MULTILINE)
_ALIASES = {
    "happiness": "happy", "joy": "happy", "joyful": "happy", "sadness": "sad", "anger": "angry", "surprised": "surprise",
    "fearful": "fear", "afraid": "fear", "disgusted": "disgust", "contemptuous": "contempt", "boredom": "bored", "calm": "neutral",
}  # fmt: skip


def label_of(word: str) -> str:
    """A corpus's or a model's word for an emotion as one of `verdict.EMOTIONS`; empty for any other."""
    word = word.strip().casefold()
    word = _ALIASES.get(word, word)
    return word if word in EMOTIONS else ""


def template(agent: AgentName) -> str:
    """All the words an agent's prompt is made of, before anything is filled in."""
    pool = pools(POOL)
    return "\n".join((pool["system"], pool[agent], pool["closing"], pool["guided"]))


def template_hash(agent: AgentName) -> str:
    """Short identity of a prompt."""
    return hashlib.sha256(template(agent).encode()).hexdigest()[:12]


def ask(agent: AgentName, read: Mapping[str, Finding], *, words: str = "", guided: str = "") -> tuple[str, str]:
    """System and user message of an agent.

    Args:
        agent: One that may be a model.
        read: Findings it sees: for the visual and the audio agent those of the local rules, by agent; for the consolidator those of the
            chain; for the verifier the consolidated text with everything measured.
        words: The transcript.
        guided: The label in guided mode.
    """
    pool = pools(POOL)
    shown = {n: f.text for n, f in read.items() if f.text and n != "consolidator"}
    evidence = "\n".join(f"- {name}: {text}" for name, text in shown.items()) or "- nothing was found"
    values = {"{evidence}": evidence, "{transcript}": words}
    if agent == "verifier":
        values["{sentences}"] = "\n".join(f"{i}. {s}" for i, s in enumerate(sentences(read["consolidator"].text), 1))
    # one pass, so that braces in somebody's words are left alone
    question = re.sub(r"\{\w+\}", lambda m: values.get(m.group(), m.group()), pool[agent].strip())
    parts = [question]
    if guided and agent != "verifier":
        parts.append(pool["guided"].replace("{label}", guided))
    if agent != "verifier":
        parts.append(pool["closing"].replace("{labels}", ", ".join(EMOTIONS)))
    return pool["system"], "\n\n".join(parts)


def heard(reply: str) -> tuple[Finding, tuple[str, ...]]:
    """A reply as a finding, with notes on what it lacks. A line that names the emotion is taken out of the text."""
    emotion, kept, told = "", [], False
    for line in reply.strip().splitlines():
        if found := _EMOTION_LINE.match(line.strip()):
            emotion, told = label_of(found[1]), True
        elif line.strip():
            kept.append(line.strip())
    text = " ".join(kept)
    notes = () if told else ("the reply names no emotion in the form asked for",)
    return Finding(text, text, emotion), notes


def judged(reply: str, rules: Finding) -> tuple[Finding, tuple[str, ...]]:
    """The rules' checks, less what the model calls unsupported; it takes away, and never adds."""
    verdicts = {int(n): word.casefold() for n, word in _VERDICT_LINE.findall(reply)}
    if set(verdicts) != set(range(1, len(rules.checks) + 1)):
        note = f"{len(verdicts)} verdicts on {len(rules.checks)} sentences; the rules alone decided"
        return rules, (note,)
    checks = tuple(
        (s, "unsupported" if status == "supported" and verdicts[i] == "unsupported" else status,
         f"{why}; the model finds it unsupported" if verdicts[i] == "unsupported" else why)
        for i, (s, status, why) in enumerate(rules.checks, 1)
    )  # fmt: skip
    text = " ".join(s for s, status, _ in checks if status == "supported")
    return Finding(text, text, checks=checks), ()
