"""The audio agent: how the voice sounds, what stands out in it, and which emotion that may be, with its doubt."""

from __future__ import annotations

import numpy as np

from emollm.annotation.finding import Finding, listed
from emollm.annotation.visual_agent import WORDS
from emollm.values import Analysis
from emollm.verdict import SURE

PAUSE_S = 0.5
CLOSE = 0.5  # a second emotion with this part of the first one's share is named too
LEAST = 0.2  # below this a second emotion is not worth a word
_EMOTION = {"calm": "neutral"}
_HOW = ("slow", "fast", "loud", "very quiet", "breathy")  # cues that follow "it is"; the others follow "with"
_WITH = {
    "low pitch": "a low pitch", "high pitch": "a high pitch", "flat melody": "a flat melody", "lively melody": "a lively melody",
    "dark tone": "a dark tone", "bright, tense tone": "a bright, tense tone",
}  # fmt: skip


def listen(analysis: Analysis) -> Finding:
    """The voice over the clip; empty where no speech was found."""
    voice = analysis.voice
    if voice is None:
        return Finding("")
    order = np.argsort(-np.asarray(voice.scores), kind="stable")
    first, second = (int(k) for k in order[:2])
    name, other = (WORDS.get(voice.labels[k], voice.labels[k]) for k in (first, second))
    share, rest = float(voice.scores[first]), float(voice.scores[second])
    also = f", perhaps {other} ({rest:.0%})" if rest >= max(LEAST, CLOSE * share) else ""
    sure = share >= SURE
    sounds = f"The voice sounds {name} ({share:.0%}){also}" if sure else f"The voice is hard to read: perhaps {name} ({share:.0%}){also}"
    story = f"{sounds}{_manner(voice.cues)}."
    facts = []
    spoken = sum(b - a for a, b in voice.spans_s)
    pauses = sum(b[0] - a[1] >= PAUSE_S for a, b in zip(voice.spans_s, voice.spans_s[1:], strict=False))
    facts.append(
        f"Speech is heard for {spoken:.1f} s, from {voice.spans_s[0][0]:.1f} to {voice.spans_s[-1][1]:.1f} s, "
        f"with {'no pause' if not pauses else f'{pauses} pause' + ('s' if pauses > 1 else '')} of half a second or more."
    )
    if np.isfinite(voice.pitch_hz):
        moves = f", moving over {voice.pitch_range_st:.0f} semitones" if np.isfinite(voice.pitch_range_st) else ""
        facts.append(f"Its pitch is about {voice.pitch_hz:.0f} Hz{moves}.")
    if analysis.words is not None and spoken > 0 and analysis.words.text:
        facts.append(f"The voice speaks about {len(analysis.words.text.split()) / spoken:.1f} words a second.")
    label = _EMOTION.get(voice.labels[first], voice.labels[first])
    return Finding(" ".join([story, *facts]), story, label)


def _manner(cues: tuple[str, ...]) -> str:
    """ "; it is slow and breathy, with a lively melody"."""
    how = listed([c for c in cues if c in _HOW])
    having = listed([_WITH.get(c, c) for c in cues if c not in _HOW])
    return (f"; it is {how}{f', with {having}' if having else ''}" if how else f"; it has {having}") if cues else ""
