"""Practice conversations about films of rendered people: what moves, when, in which order, and what it looks like.

Answers about movement are written from what was measured, since that is what the model will be told of a clip; the truth of a film decides
only which emotion is named, and only where a movement of it was measured at all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from emollm.data.conversation import ClipView, Turn
from emollm.data.corpus import Item
from emollm.data.features import Seen
from emollm.data.prompts import ADJECTIVES, NOUNS, pools
from emollm.data.reply import reply
from emollm.data.talk import people
from emollm.data.tasks import Sample, quieter
from emollm.errors import DataError

APART = 0.85  # share of questions of order about two movements that do not begin together
MARK_S = 1.5  # a stretch that begins so close to a change is that change
NEAR_S = 0.8  # a measured movement so close to a true one belongs to it
CORPUS = "films"
_HEAD = ("nods", "shakes the head", "turns", "tilts", "glances", "raises the head", "lowers the head")
_PARTS = {"brows": ("brows",), "eyes": ("eyes",), "cheeks": ("cheeks",), "lips": ("lip",), "corners of the mouth": ("corners",)}
# What people call a movement where our own words for it are others.
_OTHERWISE = {
    "eyes narrow": ("eyelids tighten", "eyes squint"),
    "eyes widen": ("eyes open wide", "upper lids go up"),
    "cheeks rise": ("cheeks lift", "cheeks go up"),
    "inner brows rise": ("inner ends of the brows go up",),
    "outer brows rise": ("outer ends of the brows go up", "outer brows lift"),
    "brows draw down and together": ("brows lower", "brows knit"),
    "nose wrinkles": ("nose scrunches up",),
    "corners of the mouth rise": ("corners of the mouth go up", "mouth curves up"),
    "corners of the mouth turn down": ("corners of the mouth drop",),
    "upper lip rises": ("upper lip lifts",),
    "lower lip drops": ("lower lip goes down",),
    "lips stretch sideways": ("mouth stretches wide",),
    "lips press together": ("lips tighten",),
    "chin pushes up": ("lower lip is pushed up",),
    "mouth opens": ("jaw drops",),
}
_ASKED = (  # movements that are asked for in vain
    "nose wrinkles", "inner brows rise", "outer brows rise", "eyes widen", "eyes narrow", "cheeks rise", "lips press together",
    "corners of the mouth rise", "corners of the mouth turn down", "mouth opens", "upper lip rises", "chin pushes up", "nods",
    "shakes the head", "brows draw down and together", "lips stretch sideways",
)  # fmt: skip


def film_items(folder: Path) -> list[Item]:
    """Films made by `emollm synth` as items of the corpus "films"; the truth is in `extra`, the label is the strongest emotion.

    Raises:
        DataError: There is no truth.jsonl in the folder.
    """
    table = folder / "truth.jsonl"
    if not table.is_file():
        raise DataError(f"no truth.jsonl in {folder}. Make films: emollm synth --out {folder}.")
    found = []
    for line in table.read_text("utf-8").splitlines():
        row = json.loads(line)
        main = next(p for p in row["people"] if p["main"])
        shown = [e for e in main["events"] if e["kind"] == "expression"]
        found.append(
            Item(
                id=f"{CORPUS}/{folder.name}/{row['name']}",
                corpus=CORPUS,
                modality="face",
                split=row["split"],
                label=max(shown, key=lambda e: float(e["strength"]))["name"] if shown else "neutral",
                speaker=str(main["person"]),
                path=str((folder / "clips" / f"{row['name']}.mp4").resolve()),
                text=main["text"] if main["speaks"] else None,
                extra={"events": main["events"], "masked": main["masked"], "words": main["text_emotion"] if main["speaks"] else None},
            )
        )
    return found


class FilmTeller:
    """Writes conversations about films."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._book = pools("film")
        self._talk = pools("dialogue")

    def tell(self, seen: Seen) -> Sample:
        """One to four questions about one film."""
        rng = self._rng
        words = seen.item.text if seen.view.tokens.get("voice") and rng.random() < 0.8 else None
        view = replace(quieter(seen.view, rng, 0.15), words=words)
        shown = feelings(seen.item, view)
        steps = ["overall"] if shown is not None and rng.random() < 0.5 else []
        steps += rng.choices(
            [
                "all",
                "when",
                "order",
                "sooner",
                "is_it",
                "is_it",
                "head",
                "part",
                "first",
                "last",
                "change",
                "at",
                "words",
                "voice",
                "reply",
                "people",
            ],
            (4, 3, 4, 3, 2, 2, 2, 2, 1, 1, 4, 1, 2, 1, 2, 2),
            k=rng.choice((1, 1, 2, 2, 3)),
        )
        if steps[0] == "overall" and rng.random() < 0.3:
            steps.insert(1, "signs")
        turns: list[Turn] = []
        for step in dict.fromkeys(steps):
            told = self._exchange(step, view, shown or (), seen.item.extra["words"])
            if told is not None:
                turns += [Turn("user", told[0], clip=None if turns else view), Turn("assistant", told[1], learn=True)]
        if not turns:
            turns = [Turn("user", rng.choice(self._book["ask"]["all"]), clip=view), Turn("assistant", self._all(view), learn=True)]
        return Sample(tuple(turns), seen.features)

    # -- single exchanges; None where the question does not fit

    def _exchange(self, step: str, view: ClipView, shown: Sequence[tuple[float, str]], mood: str | None) -> tuple[str, str] | None:
        rng, ask = self._rng, self._book["ask"]
        single = _once(view)
        if step == "overall":
            return rng.choice(self._talk["ask"]["overall"]), " ".join(
                part for part in (self._overall(view, shown), self._voice(view), self._words(view, shown, mood)) if part
            )
        if step == "words":
            told = (
                self._of(self._talk["answer"]["quote"], words=view.words) if view.words else rng.choice(self._talk["evidence"]["no_words"])
            )
            return rng.choice(self._talk["ask"]["words"]), told
        if step == "voice":
            return rng.choice(self._talk["ask"]["voice"]), self._sound(view)
        if step == "people":
            return rng.choice(self._talk["ask"]["people"]), people(view, rng)
        if step == "reply":
            return self._reply(shown)
        if step in ("all", "change", "head", "first", "last", "signs"):
            answer = {
                "all": self._all,
                "head": self._head,
                "first": self._ends,
                "last": lambda v: self._ends(v, last=True),
                "signs": self._signs,
            }
            told = self._change(view, shown) if step == "change" else answer[step](view)
            more = self._talk["ask"]["when" if step == "change" else "signs"] if step in ("change", "signs") else ()
            named = ADJECTIVES[shown[-1][1]] if shown and shown[-1][1] in ADJECTIVES else "different"
            return rng.choice([*ask[step], *more]).format(adjective=named), told
        if step == "is_it":
            what = rng.choice(sorted(single)) if single and rng.random() < 0.5 else self._unseen(view)
            if what in single:
                return self._of(ask["is_it"], what=self._called(what)), self._of(self._book["answer"]["yes"], when=_time(single[what]))
            return self._of(ask["is_it"], what=clause(what)), rng.choice(self._book["answer"]["no"])
        if step == "when":
            if not single or rng.random() < 0.2:
                return self._of(ask["when"], what=clause(self._unseen(view))), rng.choice(self._book["answer"]["unseen"])
            what = rng.choice(sorted(single))
            return self._of(ask["when"], what=self._called(what)), self._of(self._book["answer"]["when"], when=_time(single[what]))
        if step in ("order", "sooner"):
            return self._order(single) if step == "order" else self._sooner(view)
        if step == "part":
            return self._part(view)
        return self._at(view)

    def _reply(self, shown: Sequence[tuple[float, str]]) -> tuple[str, str] | None:
        mood = shown[-1][1] if shown else ""
        return (self._rng.choice(self._talk["ask"]["reply"]), reply(mood, "look", self._rng)) if mood in self._talk["reply"] else None

    def _order(self, single: Mapping[str, float]) -> tuple[str, str] | None:
        if len(single) < 2:
            return None
        pairs = [pair for pair in combinations(sorted(single), 2) if single[pair[0]] != single[pair[1]]]
        # Most movements of an expression come together; asked evenly, a model learns to say so of everything.
        drawn = self._rng.choice(pairs) if pairs and self._rng.random() < APART else self._rng.sample(sorted(single), 2)
        one, other = sorted(drawn, key=single.__getitem__)
        first, second = self._called(one), self._called(other)  # in the words of the question
        asked = self._rng.sample([first, second], 2)
        question = self._of(self._book["ask"]["order"], one=asked[0], other=asked[1])
        if single[one] == single[other]:
            return question, self._of(self._book["answer"]["at_once"], when=_time(single[one]))
        return question, self._of(
            self._book["answer"]["order"], one=first, One=first[0].upper() + first[1:], other=second, when=_time(single[one])
        )

    def _sooner(self, view: ClipView) -> tuple[str, str] | None:
        """Whether a part of the face moves before or after the head does."""
        parts: dict[str, tuple[float, str]] = {}
        for when, moves in view.moves:
            for name, words in _PARTS.items():
                for move in moves:
                    if any(word in move for word in words):
                        parts.setdefault(name, (when, move))  # its first movement
        heads = [(w, when) for w, when in _once(view).items() if w.startswith(_HEAD)]
        pairs = [(part, head) for part in parts.items() for head in heads if part[1][0] != head[1]]
        if not pairs:
            return None
        (part, (began, what)), (head, turned) = self._rng.choice(pairs)
        question = self._of(self._book["ask"]["sooner"], part=part, head=clause(head))
        pool = self._book["answer"]["before" if began < turned else "after"]
        return question, self._of(pool, part=part, what=clause(what), when=_time(began), head=clause(head), turned=_time(turned))

    def _called(self, what: str) -> str:
        """A movement as somebody might call it: in half of the cases with other words than ours."""
        for ours, others in _OTHERWISE.items():
            if what.startswith(ours) and self._rng.random() < 0.5:
                return f"the {self._rng.choice(others)}{what[len(ours) :]}"
        return clause(what)

    def _part(self, view: ClipView) -> tuple[str, str]:
        part = self._rng.choice(list(_PARTS))
        question = self._of(self._book["ask"]["part"], part=part)
        found = [(when, [w for w in what if any(p in w for p in _PARTS[part])]) for when, what in view.moves]
        return question, self._steps([(when, what) for when, what in found if what]) or self._of(
            self._book["answer"]["part_none"], part=part
        )

    def _at(self, view: ClipView) -> tuple[str, str]:
        if not view.moves or self._rng.random() < 0.2:
            times = [t / 2 for t in range(1, int(2 * view.duration_s)) if all(abs(t / 2 - when) > 1.2 for when, _ in view.moves)]
            if times:
                question = self._of(self._book["ask"]["at"], when=_time(self._rng.choice(times)))
                return question, self._rng.choice(self._book["answer"]["at_none"])
        if not view.moves:
            return self._rng.choice(self._book["ask"]["all"]), self._all(view)
        when, what = self._rng.choice(view.moves)
        return self._of(self._book["ask"]["at"], when=_time(when)), _capital(_listed([clause(w) for w in what])) + "."

    def _all(self, view: ClipView) -> str:
        if not view.moves:
            return self._rng.choice(self._book["answer"]["still"])
        if self._rng.random() < 0.5:
            return self._steps(view.moves)
        return self._phases(view)

    def _phases(self, view: ClipView) -> str:
        book, used, parts = self._book["answer"], set[str](), []
        for when, what in view.moves:
            share = when / max(view.duration_s, 0.1)
            phase = "start" if share < 0.25 else "end" if share > 0.66 else "middle"
            parts.append(self._of(book["phase_next" if phase in used else f"phase_{phase}"], what=_listed([clause(w) for w in what])))
            used.add(phase)
        return " ".join(parts)

    def _steps(self, moves: Sequence[tuple[float, Sequence[str]]]) -> str:
        book = self._book["answer"]
        parts = []
        for i, (when, what) in enumerate(moves):
            pool = "step_only" if len(moves) == 1 else "step" if i else "step_first"
            parts.append(self._of(book[pool], when=_time(when), what=_listed([clause(w) for w in what])))
        return " ".join(parts)

    def _head(self, view: ClipView) -> str:
        found = [(when, [w for w in what if w.startswith(_HEAD)]) for when, what in view.moves]
        return self._steps([(when, what) for when, what in found if what]) or self._rng.choice(self._book["answer"]["head_none"])

    def _ends(self, view: ClipView, *, last: bool = False) -> str:
        if not view.moves:
            return self._rng.choice(self._book["answer"]["still"])
        when, what = view.moves[-1 if last else 0]
        return f"At {_time(when)} s {_listed([clause(w) for w in what])}."

    def _signs(self, view: ClipView) -> str:
        told = [clause(w) for _, what in view.moves for w in what if not w.startswith(_HEAD)]
        if not told:
            return self._rng.choice(self._book["answer"]["still"])
        return self._of(self._book["answer"]["signs"], what=_listed(list(dict.fromkeys(told))[:3]))

    def _change(self, view: ClipView, shown: Sequence[tuple[float, str]]) -> str:
        book = self._book["answer"]
        faces = [(when, [w for w in what if not w.startswith(_HEAD)]) for when, what in view.moves]
        faces = [(when, what) for when, what in faces if what]
        if not faces:
            return self._rng.choice(book["still"])
        before, after = _turn(shown)
        when, what = faces[0] if after is None else min(faces, key=lambda f: abs(f[0] - after[0]))
        told = _listed([clause(w) for w in what[:3]])
        if after is not None and before is not None:
            when = _marked(view, after[0])
            return self._of(book["change_feeling"], when=_time(when), what=told, before=ADJECTIVES[before], after=ADJECTIVES[after[1]])
        return self._of(book["change"], when=_time(when), what=told)

    def _overall(self, view: ClipView, shown: Sequence[tuple[float, str]]) -> str:
        book = self._talk["overall"]
        names = [name for _, name in shown]
        if not names:
            first = self._of(book["clear"], adjective="neutral", noun=NOUNS["neutral"])
        elif len(set(names)) == 1:
            first = self._of(book["clear"], adjective=ADJECTIVES[names[0]], noun=NOUNS[names[0]])
        else:
            before, after = _turn(shown)
            assert before is not None and after is not None
            first = self._of(book["change"], before=ADJECTIVES[before], after=ADJECTIVES[after[1]], when=_time(_marked(view, after[0])))
        moving = [(when, [w for w in what if not w.startswith(_HEAD)][:3]) for when, what in view.moves]
        moving = [(when, what) for when, what in moving if what]
        evidence = self._steps(moving[:3]) or self._rng.choice(self._book["answer"]["still"])
        return f"{first} {evidence}"

    def _sound(self, view: ClipView) -> str:
        """The voice alone, for who asks for it."""
        if not view.tokens.get("voice"):
            return self._rng.choice(self._talk["evidence"]["no_voice"])
        cues = next((c for c in view.cues.get("voice", ()) if c), ())
        nouns = [c for c in cues if c.endswith(("pitch", "melody", "tone"))]
        return (
            self._of(self._talk["evidence"]["voice_cues"], cues=_listed(nouns)) if nouns else "I hear a voice, without anything striking."
        )

    def _voice(self, view: ClipView) -> str:
        if not view.tokens.get("voice"):
            return self._rng.choice(self._talk["evidence"]["no_voice" if view.words else "no_voice_words"])
        cues = next((c for c in view.cues.get("voice", ()) if c), ())
        nouns = [c for c in cues if c.endswith(("pitch", "melody", "tone"))]
        return self._of(self._talk["evidence"]["voice_cues"], cues=_listed(nouns)) if nouns and self._rng.random() < 0.5 else ""

    def _words(self, view: ClipView, shown: Sequence[tuple[float, str]], mood: str | None) -> str:
        if not view.words:
            return ""
        names = {name for _, name in shown}
        if mood is None or mood == "neutral" or mood not in NOUNS:
            return self._of(self._talk["evidence"]["words_neutral"], words=view.words)
        return self._of(self._talk["evidence"]["words_fit" if mood in names else "words_other"], words=view.words, noun=NOUNS[mood])

    def _unseen(self, view: ClipView) -> str:
        seen = {w for _, what in view.moves for w in what}
        return self._rng.choice([w for w in _ASKED if not any(w.split(" on the ")[0] in s for s in seen)])

    def _of(self, pool: Sequence[str], **values: str) -> str:
        text = self._rng.choice(pool).format(**values)
        return text[0].upper() + text[1:]


def feelings(item: Item, view: ClipView) -> list[tuple[float, str]] | None:
    """When which emotion begins, and neutral before them, where some movement of the face was measured with each.

    None where the film shows what cannot be named so: a masked feeling, pain, or a movement that belongs to nothing known.
    """
    starts = [when for when, what in view.moves if any(not w.startswith(_HEAD) for w in what)]
    found: list[tuple[float, str]] = []
    for event in sorted(item.extra["events"], key=lambda e: float(e["onset"])):
        if event["kind"] != "expression":
            continue
        there = [s for s in starts if event["onset"] - NEAR_S < s < event["offset"]]
        if there and (event["name"] not in ADJECTIVES or item.extra["masked"]):
            return None
        if there:
            found.append((float(event["onset"]), event["name"]))
            starts = [s for s in starts if s not in there]
    if starts:
        return None
    if found and found[0][0] > 1.0:
        found.insert(0, (0.0, "neutral"))
    return found


def _turn(shown: Sequence[tuple[float, str]]) -> tuple[str | None, tuple[float, str] | None]:
    """The emotion at first, and the first other one with its time."""
    if not shown:
        return None, None
    other = next(((when, name) for when, name in shown[1:] if name != shown[0][1]), None)
    return shown[0][1], other


def clause(what: str) -> str:
    """ "nose wrinkles" to "the nose wrinkles", "nods" to "the person nods"."""
    return f"the person {what}" if what.startswith(_HEAD) else f"the {what}"


def _marked(view: ClipView, when: float) -> float:
    """The moment of a change as the prompt tells it: where a stretch of the face begins, else where a movement does, else the true one."""
    stretches = view.marks_s.get("face", ())[1:]
    moves = [at for at, what in view.moves if any(not w.startswith(_HEAD) for w in what)]
    for known in (stretches, moves):
        near = [at for at in known if abs(at - when) <= MARK_S]
        if near:
            return min(near, key=lambda at: abs(at - when))
    return when


def _once(view: ClipView) -> dict[str, float]:
    """Movements that happen once, and when."""
    told = [(w, when) for when, what in view.moves for w in what]
    names = [w for w, _ in told]
    return {w: when for w, when in told if names.count(w) == 1}


def _time(when: float) -> str:
    return f"{when:.1f}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
