"""Answers of several parts as text: the chain of empathy before a reply, and reasons before an answer; written and read back.

A chain is four lines, each with its name before a colon, then an empty line and the reply. What was thought comes before a last line that
begins with "Answer:".
"""

from __future__ import annotations

import re

from emollm.data.schema import ChainOfEmpathy

STEPS = ("event", "emotion", "cause", "goal")
ANSWER = "Answer:"
_STEP = re.compile(r"^[\W\d]*(event|emotion|cause|goal)\W*:\**\s*(.*\S)\s*$", re.IGNORECASE)
_ANSWERED = re.compile(r"^[\W\d]*answer\W*:\**[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)


def write_chain(chain: ChainOfEmpathy, reply: str) -> str:
    """The four steps and the reply."""
    lines = [f"{name.capitalize()}: {_one_line(getattr(chain, name))}" for name in STEPS]
    return "\n".join([*lines, "", reply.strip()])


def read_chain(text: str) -> tuple[ChainOfEmpathy | None, str]:
    """The chain and the reply of an answer; no chain unless all four steps stand before the reply, which is then the whole text."""
    lines = text.strip().splitlines()
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        step = _STEP.match(line)
        if step is None:
            break
        found[step[1].lower()] = step[2]
        if len(found) == len(STEPS):
            return ChainOfEmpathy(**found), "\n".join(lines[number + 1 :]).strip()
    return None, text.strip()


def write_thought(reasons: str, answer: str) -> str:
    """Reasons, then the answer on the last line."""
    return f"{reasons.strip()}\n{ANSWER} {answer}"


def read_thought(text: str) -> tuple[str, str]:
    """Reasons and answer; without a line that begins with "Answer:" the whole text is the answer."""
    answers = list(_ANSWERED.finditer(text))
    if not answers:
        return "", text.strip()
    return text[: answers[-1].start()].strip(), answers[-1][1].strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())
