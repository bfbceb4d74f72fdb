"""Practice conversations about clips, written from what was measured and labelled.

Sentences come from the pools of instruct_data/prompts/dialogue.toml.

What is said of a clip must be readable from it: an absent modality is named as absent, an unclear face as unclear.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emollm.data.conversation import ClipView, Turn
from emollm.data.features import Seen
from emollm.data.prompts import ADJECTIVES, NOUNS, pools
from emollm.data.reply import help_for, missing, reply
from emollm.data.tasks import FER_VOTES, Sample, in_sequence, join, quieter

CLEAR_SHARE = 0.65
NEUTRAL_WORDS = 0.4  # share of clips in which what is said tells nothing, or a model finds that words always fit
_ASKED = (
    "face", "voice", "words", "words_fit", "agree", "one_word", "when", "signs", "sure", "why", "reply", "help", "people",
    "diagnosis", "identity", "correct",
)  # fmt: skip
# Labels of a face and a voice that tell the same story.
KIN = {"calm": "neutral", "bored": "neutral"}


@dataclass(frozen=True, slots=True)
class Story:
    """A clip and the truth about it, as far as it is known."""

    seen: Seen
    face: str | None
    voice: str | None
    words: str | None
    words_label: str | None
    other: str | None = None  # second reading of an unclear face
    change: tuple[str, str, float] | None = None  # before, after, when

    @property
    def label(self) -> str:
        """The reading to lead with."""
        leading = self.change[1] if self.change else self.face
        return leading or self.voice or self.words_label or "neutral"

    @property
    def clash(self) -> bool:
        """Face and voice tell different stories."""
        if self.change is not None or (self.words_label is not None and self.words_label == self.face):
            return False  # what changes leads, and two that agree outvote the third
        return self.odd_voice

    @property
    def odd_voice(self) -> bool:
        """The voice tells another story than the face."""
        return self.face is not None and self.voice is not None and KIN.get(self.face, self.face) != KIN.get(self.voice, self.voice)


class Storyteller:
    """Makes clips out of labelled faces, voices and sentences, and conversations about them."""

    def __init__(self, faces: Sequence[Seen], voices: Sequence[Seen], sentences: Mapping[str, Sequence[str]], rng: random.Random) -> None:
        self._faces = _by_label(faces)
        self._voices = _by_label(voices)
        self._sentences = sentences
        self._rng = rng
        self._book = pools("dialogue")

    def tell(self, face: Seen) -> Sample:
        """One conversation of one to three questions; `face` is used unless the clip has none."""
        story = self._invent(face)
        rng = self._rng
        plan = ["overall"] if rng.random() < 0.6 else []
        plan += rng.sample(
            [*_ASKED, "words", "when", "signs"],
            rng.choice((1, 2, 2, 3)),
        )
        if story.seen.view.kind == "image" and rng.random() < 0.3:
            plan.append("when")  # a still picture shows no change, which is easily forgotten
        if rng.random() < 0.08:
            plan.append("thanks")
        turns: list[Turn] = []
        view = quieter(story.seen.view, rng, 0.15)
        for step in dict.fromkeys(plan):
            question, answer = self._exchange(step, story, view)
            turns += [Turn("user", question, clip=view if not turns else None), Turn("assistant", answer, learn=True)]
        return Sample(tuple(turns), story.seen.features)

    def answer(self, face: Seen) -> Sample:
        """What to say to somebody, which is learned beside what would miss them; most often after a first question."""
        rng = self._rng
        story = self._invent(face, (24, 22, 14, 0, 40, 0) if self._voices else (50, 50, 0, 0, 0, 0))
        view = quieter(story.seen.view, rng, 0.15)
        before = [rng.choice(("overall", "overall", "one_word", "signs", "voice", "words"))] if rng.random() < 0.75 else []
        turns: list[Turn] = []
        for step in before:
            question, told = self._exchange(step, story, view)
            turns += [Turn("user", question), Turn("assistant", told)]
        turns += [Turn("user", rng.choice(self._book["ask"]["reply"])), Turn("assistant", self._reply(story, view), learn=True)]
        turns[0] = replace(turns[0], clip=view)
        return Sample(tuple(turns), story.seen.features, worse=missing(story.label, _verb(story), rng))

    def _invent(self, face: Seen, shares: Sequence[float] = ()) -> Story:
        rng = self._rng
        label = face.item.label or "neutral"
        other = second_reading(face)
        shares = shares or ((24, 30, 14, 10, 20, 2) if self._voices else (30, 66, 0, 0, 0, 4))
        shape = rng.choices(("picture", "sequence", "pair", "clash", "voice", "nothing"), shares)[0]
        if shape == "nothing":
            duration = rng.uniform(1, 20)
            return Story(Seen(face.item, ClipView("video", duration, {}), {}), None, None, None, None)
        if shape == "picture":
            return Story(face, label, None, None, None, other)
        if shape == "voice":
            voice = rng.choice(self._voices[rng.choice(list(self._voices))])
            words, words_label = self._say(voice.item.label or "neutral")
            seen = replace(voice, view=replace(voice.view, words=words))
            return Story(seen, None, voice.item.label, words, words_label)
        if shape == "sequence":
            return self._sequence(face, label)
        wanted = label if shape == "pair" else rng.choice([v for v in self._voices if KIN.get(v, v) != KIN.get(label, label)])
        voices = self._voices.get(wanted) or self._voices["neutral"]
        voice = rng.choice(voices)
        words, words_label = self._say(label if rng.random() < 0.8 else rng.choice(list(self._sentences)))
        return Story(join(face, voice, words), label, voice.item.label, words, words_label, other if shape == "pair" else None)

    def _sequence(self, face: Seen, label: str) -> Story:
        """A face over time: most often it changes once; where there is a voice, it may say anything, for voices mislead."""
        rng = self._rng
        change = None
        if rng.random() < 0.75:
            after = self._follow(label)
            first = self._alike(face, rng.choice((0, 0, 1)))
            then = rng.choice(self._faces[after])
            seen, marks = in_sequence([*first, then, *self._alike(then, rng.choice((0, 0, 1)))[1:]], rng)
            change = (label, after, marks[len(first)])
        else:
            seen, _ = in_sequence(self._alike(face, rng.choice((0, 1, 2))), rng)
        mood = change[1] if change else label
        wanted = mood if rng.random() < 0.45 or not self._voices else rng.choice(list(self._voices))
        if rng.random() < 0.4 or not self._voices.get(wanted):
            return Story(seen, label, None, None, None, None, change)
        voice = rng.choice(self._voices[wanted])
        words, words_label = self._say(mood)
        both = join(seen, voice, words)
        both = replace(both, view=replace(both.view, duration_s=max(seen.view.duration_s, voice.view.duration_s)))
        return Story(both, mood, voice.item.label, words, words_label, None, change)

    def _follow(self, label: str) -> str:
        """What the face turns to: neutral and happy most often, as in life."""
        names = [n for n in self._faces if n != label]
        return self._rng.choices(names, [len(self._faces[n]) ** 0.5 for n in names])[0]

    def _alike(self, face: Seen, more: int) -> list[Seen]:
        return [face, *(self._rng.choice(self._faces[face.item.label or "neutral"]) for _ in range(more))]

    def _say(self, mood: str) -> tuple[str | None, str | None]:
        if self._rng.random() < 0.2:
            return None, None
        mood = KIN.get(mood, mood)
        if self._rng.random() < NEUTRAL_WORDS or not self._sentences.get(mood):
            mood = "neutral"
        if not self._sentences.get(mood):
            return None, None
        return self._rng.choice(self._sentences[mood]), mood

    # -- what is asked and answered

    def _exchange(self, step: str, story: Story, view: ClipView) -> tuple[str, str]:
        book, rng = self._book, self._rng
        ask = rng.choice(book["ask"][step])
        nothing = story.face is None and story.voice is None and story.words is None
        if step == "correct":
            said = story.label if rng.random() < 0.4 else rng.choice(list(NOUNS))
            same = "same" if said == story.label else "other"
            return ask.format(adjective=ADJECTIVES[said], noun=NOUNS[said]), self._fill(
                rng.choice(book["answer"][f"correct_{same}"]), story
            )
        if step in ("diagnosis", "identity", "thanks"):
            return ask, rng.choice(book["answer"][step])
        ask = ask.format(adjective=ADJECTIVES[story.label])
        if nothing:
            return ask, rng.choice(book["evidence"]["nothing"])
        answer = {
            "overall": self._overall,
            "face": self._face,
            "signs": self._signs,
            "voice": self._voice,
            "words": self._quote,
            "words_fit": self._words,
            "agree": self._agree,
            "one_word": self._one_word,
            "people": lambda _, view: people(view, rng),
            "when": self._when,
            "sure": self._sure,
            "why": self._why,
            "reply": self._reply,
            "help": self._help,
        }[step](story, view)
        return ask, answer

    def _overall(self, story: Story, view: ClipView) -> str:
        book = self._book["overall"]
        if story.clash:
            first = self._pick(
                book["mixed"], face=NOUNS[story.face or ""], voice=NOUNS[story.voice or ""], voice_adjective=ADJECTIVES[story.voice or ""]
            )
            return " ".join([first, *self._evidence(story, view, clash=True)])
        first = self._change(story) if story.change else self._fill(self._rng.choice(book["unclear" if story.other else "clear"]), story)
        return " ".join([first, *self._evidence(story, view)])

    def _evidence(self, story: Story, view: ClipView, *, clash: bool = False) -> list[str]:
        parts = [self._face(story, view) if story.face else "", self._voice(story, view) if story.voice and not clash else ""]
        if story.face is None:
            parts[0] = self._pick(self._book["evidence"]["no_face"])
        if story.voice is None and story.words is None:
            parts.append(self._pick(self._book["evidence"]["no_voice_words"]))
        elif story.words is None:
            parts.append(self._pick(self._book["evidence"]["no_words"]))
        else:
            parts.append(self._words(story, view))
        return [p for p in parts if p]

    def _face(self, story: Story, view: ClipView) -> str:
        book = self._book["evidence"]
        if story.face is None:
            return self._pick(book["no_face"])
        stretches = view.cues.get("face", ())
        # The stretch that shows what is being told: the last one after a change.
        told = stretches[-1:] if story.change else tuple(reversed(stretches))
        cues = next((c for c in told if c), ())
        if cues:
            return self._pick(book["face_cues"], cues=listed(cues))
        return self._fill(self._rng.choice(book["face_plain"]), story)

    def _signs(self, story: Story, view: ClipView) -> str:
        """What the reading rests on: features of the face that was told of, else its whole look, else the voice."""
        book = self._book["evidence"]
        if story.face is None:
            cues = [c for c in next((c for c in view.cues.get("voice", ()) if c), ()) if c.endswith(("pitch", "melody", "tone"))]
            return self._pick(book["signs_voice"], cues=listed(cues)) if cues else self._voice(story, view)
        stretches = view.cues.get("face", ())
        cues = list(next((c for c in (stretches[-1:] if story.change else tuple(reversed(stretches))) if c), ()))
        return self._pick(book["signs"], cues=listed(cues)) if cues else self._fill(self._rng.choice(book["signs_plain"]), story)

    def _voice(self, story: Story, view: ClipView) -> str:
        book = self._book["evidence"]
        if story.voice is None:
            return self._pick(book["no_voice"])
        cues = next((c for c in view.cues.get("voice", ()) if c), ())
        if story.odd_voice and self._rng.random() < 0.5:
            return self._pick(book["voice_other"], noun=NOUNS[story.voice])
        nouns = [c for c in cues if c.endswith(("pitch", "melody", "tone"))]
        if nouns:
            return self._pick(book["voice_cues"], cues=listed(nouns))
        return self._pick(book["voice_plain"], noun=NOUNS[story.voice], adjective=ADJECTIVES[story.voice])

    def _words(self, story: Story, view: ClipView) -> str:
        book = self._book["evidence"]
        if story.words is None:
            return self._pick(book["no_words"])
        if story.words_label == "neutral":
            return self._pick(book["words_neutral"], words=story.words)
        if story.words_label == KIN.get(story.label, story.label):
            return self._pick(book["words_fit"], words=story.words)
        return self._pick(book["words_other"], words=story.words, noun=NOUNS[story.words_label or "neutral"])

    def _quote(self, story: Story, view: ClipView) -> str:
        """Who asks for the words gets the words."""
        if story.words is None:
            return self._pick(self._book["evidence"]["no_words"])
        return self._pick(self._book["answer"]["quote"], words=story.words)

    def _agree(self, story: Story, view: ClipView) -> str:
        book = self._book["answer"]
        if story.voice is None:
            return self._pick(book["agree_no_voice"])
        if story.face is None:
            return self._pick(book["agree_no_face"])
        if story.odd_voice:
            return self._pick(book["agree_no"], face=NOUNS[story.face], voice=NOUNS[story.voice])
        return self._pick(book["agree_yes"], noun=NOUNS[story.face], adjective=ADJECTIVES[story.face])

    def _one_word(self, story: Story, view: ClipView) -> str:
        return self._pick(self._book["answer"]["one_word"], adjective=ADJECTIVES[story.label].capitalize())

    def _change(self, story: Story) -> str:
        assert story.change is not None
        before, after, when = story.change
        return self._pick(self._book["overall"]["change"], before=ADJECTIVES[before], after=ADJECTIVES[after], when=f"{when:.1f}")

    def _when(self, story: Story, view: ClipView) -> str:
        book = self._book
        if story.face is None:
            return self._pick(book["evidence"]["no_face"])
        if view.kind == "image":
            return self._pick(book["answer"]["one_picture"])
        return self._change(story) if story.change else self._fill(self._rng.choice(book["answer"]["no_change"]), story)

    def _sure(self, story: Story, view: ClipView) -> str:
        unclear = story.other or (story.voice if story.odd_voice else None)
        if unclear:
            return self._pick(self._book["answer"]["sure_unclear"], other=NOUNS[unclear])
        return self._pick(self._book["answer"]["sure_agree" if story.face and story.voice else "sure_clear"])

    def _why(self, story: Story, view: ClipView) -> str:
        if story.words and story.words_label != "neutral":
            return self._pick(self._book["answer"]["why_words"], words=story.words)
        return self._pick(self._book["answer"]["why_none"])

    def _reply(self, story: Story, view: ClipView) -> str:
        return reply(story.label, _verb(story), self._rng)

    def _help(self, story: Story, view: ClipView) -> str:
        return help_for(story.label, self._rng)

    def _pick(self, pool: Sequence[str], **values: str) -> str:
        return self._rng.choice(pool).format(**values)

    def _fill(self, text: str, story: Story) -> str:
        other = story.other or "neutral"
        return text.format(adjective=ADJECTIVES[story.label], noun=NOUNS[story.label], other=NOUNS[other])


def _verb(story: Story) -> str:
    return "sound" if story.face is None else "look"


def people(view: ClipView, rng: random.Random) -> str:
    """How many faces a clip shows."""
    book = pools("dialogue")["answer"]
    if not view.tokens.get("face"):
        return str(rng.choice(book["people_none"]))
    return str(rng.choice(book["people_some" if view.persons > 1 else "people_one"])).format(count=view.persons)


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def second_reading(face: Seen) -> str | None:
    """The runner-up of the crowd's votes on an unclear face; None where the face is clear or nobody voted."""
    votes = face.item.extra.get("votes")
    if not votes or max(votes) / max(sum(votes), 1) >= CLEAR_SHARE:
        return None
    ranked = sorted(zip(votes, FER_VOTES, strict=True), reverse=True)
    return next((name for count, name in ranked if name != face.item.label and count > 1), None)


def _by_label(seen: Sequence[Seen]) -> dict[str, list[Seen]]:
    groups: dict[str, list[Seen]] = {}
    for one in seen:
        groups.setdefault(one.item.label or "neutral", []).append(one)
    return groups
