"""A movement in a few plain words, for a judge that reads."""

from __future__ import annotations

from emollm.evaluation.events import Movement

_DOES = {
    ("height", 1): "rise", ("height", -1): "lower", ("open", 1): "open", ("open", -1): "close or narrow", ("furrow", 1): "draw together",
    ("furrow", -1): "relax", ("x", 1): "turn left", ("x", -1): "turn right", ("y", 1): "turn up", ("y", -1): "turn down",
    ("z", 1): "move forward", ("z", -1): "move back", ("roll", 1): "tilt left or roll in", ("roll", -1): "tilt right",
    ("press", 1): "press together", ("tight", 1): "tighten", ("shown", 1): "show", ("push", 1): "push up", ("on", 1): "begins",
    ("on", -1): "ends",
}  # fmt: skip


def phrase(m: Movement) -> str:
    """Such as "at the start: left brows rise (read from: the left brow lifts)"."""
    when = f"at {m.time_s:.1f} s: " if m.time_s is not None else f"{m.phase}: " if m.phase else ""
    who = f"of the person on the {m.who}, " if m.who else ""
    side = f"{m.side} " if m.side else ""
    return f"{when}{who}{side}{m.part} {_DOES.get((m.axis, m.sign), m.axis)} (read from: {m.text})"
