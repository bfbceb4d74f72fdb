"""The unified sample: one labelled clip with its tasks, descriptions and dialogue, the same for every corpus.

It knows the rules of a single sample. What holds between samples is in `check`, how a corpus becomes samples in `readers`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from emollm.errors import DataError

SCHEMA_VERSION: Literal[1] = 1

Split = Literal["train", "val", "test"]
Level = Literal["perception", "understanding", "interaction"]
TaskType = Literal[
    "emotion", "sentiment", "intent", "multi-label", "open-vocabulary", "valence", "reason", "describe", "question", "empathy"
]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
LEVELS: tuple[Level, ...] = ("perception", "understanding", "interaction")
MEDIA = ("video", "audio", "image")
ONE_LABEL = ("emotion", "sentiment", "intent")
LEVEL_OF: dict[TaskType, Level] = {
    "emotion": "perception",
    "sentiment": "perception",
    "multi-label": "perception",
    "open-vocabulary": "perception",
    "valence": "perception",
    "intent": "understanding",
    "reason": "understanding",
    "describe": "understanding",
    "question": "understanding",
    "empathy": "interaction",
}
# Which fields beside `type` each task has; any other one is a fault.
_FIELDS_OF: dict[TaskType, tuple[str, ...]] = {
    "emotion": ("label", "label_set"),
    "sentiment": ("label", "label_set"),
    "intent": ("label", "label_set"),
    "multi-label": ("labels", "label_set"),
    "open-vocabulary": ("labels",),
    "valence": ("value", "scale"),
    "question": ("question", "answer"),
    "reason": (),
    "describe": (),
    "empathy": (),
}

Text = Annotated[str, StringConstraints(min_length=1)]


class _Value(BaseModel):
    # Strict, as a number that became a string in some export must be told, not mended.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Media(_Value):
    """Where the media of a sample lie, relative to the folder given as media root."""

    video: str | None = None
    audio: str | None = None
    image: str | None = None

    @field_validator("video", "audio", "image")
    @classmethod
    def _relative(cls, path: str | None) -> str | None:
        if path is not None and (not path or path[0] in "/~" or "\\" in path or ":" in path[:3] or ".." in path.split("/")):
            raise ValueError(f"{path!r} is no relative path; write it from the media root, with forward slashes and without '..'")
        return path

    def paths(self) -> tuple[str, ...]:
        """The paths that are there."""
        return tuple(p for p in (self.video, self.audio, self.image) if p is not None)


class Task(_Value):
    """What is asked of a sample, with the answer where it is a label, labels or a value."""

    type: TaskType
    label: Text | None = None
    labels: tuple[Text, ...] = ()
    value: float | None = None
    label_set: tuple[Text, ...] = ()
    scale: tuple[float, float] | None = None
    question: Text | None = None
    answer: Text | None = None

    @model_validator(mode="after")
    def _one_kind_of_answer(self) -> Task:
        wanted = _FIELDS_OF[self.type]
        faults = [f"task {self.type!r} needs {n!r}" for n in wanted if getattr(self, n) in (None, ())]
        strange = [n for n in _ANSWERS if n not in wanted and getattr(self, n) not in (None, ())]
        faults += [f"task {self.type!r} has no {n!r}; it has: {', '.join(wanted) or 'none'}" for n in strange]
        given = (*self.labels, *([self.label] if self.label is not None else []))
        if self.label_set:
            strangers = [name for name in given if name not in self.label_set]
            faults += [f"label {name!r} is not in the label set: {', '.join(self.label_set)}" for name in strangers]
            if len(set(self.label_set)) < len(self.label_set):
                faults.append(f"the label set names a label twice: {', '.join(self.label_set)}")
        if len(set(self.labels)) < len(self.labels):
            faults.append(f"a label is given twice: {', '.join(self.labels)}")
        if self.scale is not None:
            low, high = self.scale
            if not low < high:
                faults.append(f"scale {low:g} to {high:g} is empty; write the lowest value first")
            elif self.value is not None and not low <= self.value <= high:
                faults.append(f"value {self.value:g} is outside its scale of {low:g} to {high:g}")
        _raise(faults)
        return self


_ANSWERS = ("label", "labels", "value", "label_set", "scale", "question", "answer")


class Description(_Value):
    """What somebody or something wrote about a clip."""

    text: Text
    origin: str = ""

    @field_validator("origin")
    @classmethod
    def _named(cls, origin: str) -> str:
        if not origin.strip():
            raise ValueError(_NO_ORIGIN)
        return origin

    @model_validator(mode="before")
    @classmethod
    def _given(cls, found: object) -> object:
        if isinstance(found, dict) and "origin" not in found:
            raise ValueError(_NO_ORIGIN)
        return found


_NO_ORIGIN = "a description names its origin: 'human' or the name of the model or tool that wrote it"


class Descriptions(_Value):
    """Descriptions by what they describe: the voice, the picture, the facial units, everything together, the face as it moves."""

    audio: Description | None = None
    visual: Description | None = None
    units: Description | None = None
    multimodal: Description | None = None
    facial: Description | None = None

    def given(self) -> tuple[str, ...]:
        """Names of the descriptions that are there."""
        return tuple(name for name in DESCRIBED if getattr(self, name) is not None)


DESCRIBED = ("audio", "visual", "units", "multimodal", "facial")


class HistoryTurn(_Value):
    """One turn of the dialogue before the reply."""

    role: Literal["user", "assistant"]
    text: Text


class ChainOfEmpathy(_Value):
    """The four steps from what happened to what a reply is for."""

    event: Text
    emotion: Text
    cause: Text
    goal: Text


class UnifiedSample(_Value):
    """One sample of any corpus; one line of a unified JSONL file."""

    schema_version: Literal[1] = SCHEMA_VERSION
    id: Text
    corpus: Text
    split: Split
    fold: int | None = Field(default=None, ge=1)
    media: Media = Media()
    transcript: Text | None = None
    language: str | None = None
    speaker: Text | None = None
    tasks: tuple[Task, ...]
    level: Level
    descriptions: Descriptions = Descriptions()
    history: tuple[HistoryTurn, ...] = ()
    chain_of_empathy: ChainOfEmpathy | None = None
    reply: Text | None = None
    peak_frame: int | None = None
    licence: Text

    @field_validator("language")
    @classmethod
    def _two_letters(cls, code: str | None) -> str | None:
        if code is not None and not (len(code) == 2 and code.isascii() and code.isalpha() and code.islower()):
            raise ValueError(f"{code!r} is no ISO 639-1 code; write two lower-case letters such as 'en' or 'zh', or null where unknown")
        return code

    @field_validator("peak_frame")
    @classmethod
    def _a_frame(cls, frame: int | None) -> int | None:
        if frame is not None and frame < 0:
            raise ValueError(f"frame {frame} does not exist; frames are counted from 0")
        return frame

    @model_validator(mode="after")
    def _whole(self) -> UnifiedSample:
        faults = []
        if not self.tasks:
            faults.append("no task: a sample is there to be asked something")
        elif self.level != (level := level_of(task.type for task in self.tasks)):
            faults.append(f"level is {self.level!r}, but its highest task makes it {level!r}")
        if not (self.media.paths() or self.transcript or self.history):
            faults.append("nothing to see, hear or read: give media, a transcript or a history")
        if self.history:
            faults += self._turns()
        types = {task.type for task in self.tasks}
        if "reason" in types and self.descriptions.multimodal is None:
            faults.append("task 'reason' needs descriptions.multimodal, which it learns to write")
        if "describe" in types and not self.descriptions.given():
            faults.append(f"task 'describe' needs a description; known: {', '.join(DESCRIBED)}")
        if "empathy" in types and self.reply is None:
            faults.append("task 'empathy' needs a reply")
        if self.chain_of_empathy is not None and self.reply is None:
            faults.append("a chain of empathy leads to a reply, but there is none")
        if self.peak_frame is not None and self.media.video is None:
            faults.append("a peak frame is a frame of a video, but there is no video")
        _raise(faults)
        return self

    def _turns(self) -> list[str]:
        faults = [
            f"history does not alternate: turns {i} and {i + 1} are both of the {one.role}"
            for i, (one, other) in enumerate(zip(self.history, self.history[1:], strict=False), 1)
            if one.role == other.role
        ][:1]
        if self.reply is not None and self.history[-1].role == "assistant":
            faults.append("history ends with the assistant, who is to reply; end it with the user's turn")
        return faults

    def line(self) -> str:
        """The sample as one line of a JSONL file, without what is not there."""
        written = self.model_dump_json(exclude_defaults=True)  # the version is one, too, but must stand there
        return f'{{"schema_version":{self.schema_version},{written[1:]}'


def level_of(types: Iterable[TaskType]) -> Level:
    """The highest level among tasks."""
    return max((LEVEL_OF[t] for t in types), key=LEVELS.index)


def parse_sample(line: str | bytes) -> UnifiedSample:
    """A line of a JSONL file as a sample.

    Raises:
        DataError: With every fault of the line.
    """
    try:
        return UnifiedSample.model_validate_json(line)
    except ValidationError as error:
        raise DataError("; ".join(told(error))) from None


def told(error: ValidationError) -> list[str]:
    """The faults of a sample in words, each with the field it is in."""
    found = []
    for one in error.errors(include_url=False):
        where = ".".join(str(part) for part in one["loc"])
        said = one["msg"].removeprefix("Value error, ")
        if one["type"] == "json_invalid":
            said = f"not valid JSON: {one['ctx']['error']}"
        elif one["type"] == "missing":
            said = "missing"
        elif one["type"] == "extra_forbidden":
            said = f"unknown field; known beside others: {', '.join(sorted(_NAMES))}" if len(one["loc"]) == 1 else "unknown field"
        elif one["type"] != "value_error":
            said = f"{said[0].lower()}{said[1:]}, found {_short(one['input'])}"
        found.append(f"{where}: {said}" if where else said)
    return found


_NAMES = frozenset(UnifiedSample.model_fields)


def _short(value: object) -> str:
    written = repr(value)
    return written if len(written) <= 60 else f"{written[:57]}..."


def _raise(faults: list[str]) -> None:
    if faults:
        raise ValueError("; ".join(faults))
