"""Questions that fit what is open: made of what was measured, so that each can be answered. Each is (as shown, as asked).

The language model reads English, so every suggestion is asked in English whatever language it is shown in.
"""

from __future__ import annotations

from collections.abc import Sequence

from emollm.exports.panels import sides
from emollm.motion import of_face, together
from emollm.texts import ENGLISH, Words
from emollm.values import Analysis
from emollm.verdict import judge

MOST = 4
Suggestion = tuple[str, str]
_OF_SEVERAL = ("how", "when", "say")
_OF_NONE = ("hard", "friend", "good")


def suggestions(clips: Sequence[Analysis], words: Words) -> list[Suggestion]:
    """At most four, the most telling first."""
    keys = _of_clip(clips[0]) if len(clips) == 1 else [(name, "") for name in (_OF_SEVERAL if clips else _OF_NONE)]
    english = Words(ENGLISH)
    return [(_said(words, key, at), _said(english, key, at)) for key, at in keys[:MOST]]


def _said(words: Words, key: str, at: str) -> str:
    return words(f"ask.{key}", time=at) if at else words(f"ask.{key}")


def _of_clip(clip: Analysis) -> list[tuple[str, str]]:
    found = [("how", "")] if clip.faces or clip.voice is not None or clip.words is not None else []
    verdict = judge(clip)
    own = sides(clip)
    if clip.faces and clip.kind != "image":
        moved = together([m for m in clip.faces[0].motions if of_face(m)])
        found.append(("change", f"{min(m.start_s for m in moved[0]):.1f}") if moved else ("when", ""))
    if verdict is not None and (verdict.disagreements or ("face" in own and "voice" in own and own["face"] != own["voice"])):
        found.append(("clash", ""))
    elif clip.voice is not None and not clip.faces:
        found.append(("sound", ""))
    if len(clip.faces) > 1:
        found.append(("others", ""))
    elif clip.faces and clip.faces[0].motions and len(found) < MOST - 1:
        found.append(("steps", ""))
    elif clip.words is not None and len(found) < MOST - 1:
        found.append(("said", ""))
    return [*found, ("say", "")]
