"""A benchmark card: which corpus or whose references, which task, labels and headline. Cards never name systems."""

from __future__ import annotations

import tomllib
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from emollm import catalog
from emollm.errors import DataError


class SceneCard(BaseModel):
    """One benchmark over rendered scenes; needs no data and no language model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    kind: Literal["scenes"]
    about: str
    seed: int
    each: int  # scenes of every case
    headline: Literal["main_accuracy"]
    corpora: tuple[str, ...] = ()


class MeasureCard(BaseModel):
    """One benchmark over clips of `emollm synth` with their truth; needs no language model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    kind: Literal["measures"]
    about: str
    headline: Literal["units_correlation"]
    corpora: tuple[str, ...] = ()


Task = Literal["recognition", "intent", "open-vocabulary", "sentiment", "multi-label", "caption", "reply", "support", "questions"]
TASKS: tuple[Task, ...] = get_args(Task)
_CLOSED = ("accuracy", "uar", "weighted_f1", "macro_f1")
# Which measures may be the headline of a task.
HEADLINES: dict[Task, tuple[str, ...]] = {
    "recognition": _CLOSED,
    "intent": _CLOSED,
    "open-vocabulary": ("hit_official", "hit_fixed", "mscore_official", "mscore_fixed", "f_official", "f_fixed"),
    "sentiment": ("weighted_f1", "accuracy", "mae", "corr"),
    "multi-label": ("map", "macro_f1", "micro_f1", "samples_f1", "jaccard"),
    "caption": ("cider", "cider_d", "rouge_l", "bleu_4", "tem", "autodq"),
    "reply": ("accuracy", "hit"),
    "support": ("rouge_l", "emotion_accuracy"),
    "questions": ("mean_accuracy", "order_accuracy", "agree_accuracy"),
}


class Scored(BaseModel):
    """What every card that compares answers with references has; `--predictions` needs nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    about: str
    task: Task = "recognition"
    labels: tuple[str, ...] = ()  # empty: the labels that occur in the references
    headline: str
    forms: dict[str, tuple[str, ...]] = {}  # other words for a label
    classes: dict[str, tuple[str, ...]] = {}  # reply: the coarse classes of the hit rate, and their words
    range: Literal[0, 1, 3] = 0  # sentiment: values reach from -range to range; 0 where only the sign is known
    events: bool = False  # caption: score movements of the face as well
    folds: int = 0  # scores are means over so many values of group "fold"
    corpora: tuple[str, ...] = ()  # what it measures, as training mixtures name it, where the card's own name does not say
    show: bool = False  # whether a report may show its media: rendered people, or people who agreed to it
    credit: str = ""  # who must be named beside them

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.headline not in HEADLINES[self.task]:
            raise ValueError(f"headline {self.headline!r} is none of task {self.task}: {', '.join(HEADLINES[self.task])}")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label is listed twice")
        strange = set(self.forms) - set(self.labels)
        if strange:
            raise ValueError(f"forms of labels that are not listed: {', '.join(sorted(strange))}")
        return self


class Card(Scored):
    """One benchmark over a folder with index.jsonl."""

    corpus: str
    modality: Literal["face", "speech", "text"]
    labels: tuple[str, ...]


class ReferenceCard(Scored):
    """One public benchmark whose data the user has: answers and references come as files."""

    needs: Literal["references"]
    protocol: str  # which items, in a few words
    metric: str  # what the headline is
    source: str
    items: int = 0  # how many the protocol counts; 0 where nothing sure is known


class MeanCard(BaseModel):
    """A benchmark that is the mean of other cards' headlines."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    about: str
    needs: Literal["references"]
    members: tuple[str, ...]
    headline: Literal["mean"]
    corpora: tuple[str, ...] = ()
    protocol: str
    metric: str
    source: str


class GroupCard(BaseModel):
    """Several cards over one data folder, run together and averaged."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    kind: Literal["group"]
    about: str
    members: tuple[str, ...]
    headline: Literal["mean"]
    limit: int  # items of every member, unless the user says otherwise
    probe_items: int  # and training items of its probe
    corpora: tuple[str, ...] = ()


class PairCard(Scored):
    """Faces and voices of a data folder put together by chance into clips that agree or do not."""

    kind: Literal["pairs"]
    task: Literal["questions"]
    faces: tuple[str, ...]  # corpora
    voices: tuple[str, ...]
    pairs: int  # half of them agree
    seed: int
    limit: int


class SupportCard(Scored):
    """Dialogues of a data folder held out by a hash of their ids: what would be answered next, and how the person feels."""

    kind: Literal["support"]
    task: Literal["support"]
    corpus: str
    share: float  # of all dialogues
    limit: int


class FecCard(BaseModel):
    """Captions of, and questions about, clips of `emollm synth`, scored against their exact truth."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    kind: Literal["fec"]
    about: str
    request: str  # for a caption; every system gets the same
    questions: int  # asked of one clip at most, kinds in turn
    headline: Literal["tem"]
    limit: int
    floor_clips: int  # on which the system is asked again without the clip and with another one
    corpora: tuple[str, ...] = ()
    show: bool = False


class TalkCard(BaseModel):
    """Conversations held with the system, each answer held against patterns; needs no data folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    kind: Literal["talks"]
    about: str
    file: str  # in eval/
    headline: Literal["right_throughout"]
    corpora: tuple[str, ...] = ()


AnyCard = TalkCard | Card | ReferenceCard | MeanCard | SceneCard | MeasureCard | GroupCard | PairCard | SupportCard | FecCard
Runs = PairCard | SupportCard | FecCard  # cards whose answers are made by `asked`


def _kind(row: dict[str, object]) -> type[AnyCard]:
    kinds: dict[object, type[AnyCard]] = {
        "scenes": SceneCard, "measures": MeasureCard, "group": GroupCard, "pairs": PairCard, "support": SupportCard, "fec": FecCard,
        "talks": TalkCard,
    }  # fmt: skip
    if row.get("kind") in kinds:
        return kinds[row["kind"]]
    if "members" in row:
        return MeanCard
    return ReferenceCard if row.get("needs") == "references" else Card


def load_card(name: str) -> AnyCard:
    """A card by name or by a path to a `.toml`.

    Raises:
        RecipeError: Unknown name.
        DataError: Faulty file.
    """
    path = catalog.find("eval", name)
    try:
        row = tomllib.loads(path.read_text("utf-8"))
        return _kind(row).model_validate(row)
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path.name} is faulty: {error}") from None
