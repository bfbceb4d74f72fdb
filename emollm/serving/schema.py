"""The part of OpenAI's chat API that is spoken here, as types, and the two endpoints that are ours.

A field that is not listed is ignored and named in the `x-emollm-ignored` header; one that would change the answer in a way we cannot
do (`n`, `logprobs`, `tools`, `response_format`) is refused by `refuse_unsupported`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from emollm.serving.errors import ApiError
from emollm.serving.limits import Limits
from emollm.values import Sampling

SAFE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is not text") from None
    return text


Text = Annotated[str, AfterValidator(_whole)]


class Url(BaseModel):
    """Where a clip is; only `data:MIME;base64,...` is accepted."""

    url: str
    detail: str | None = Field(None, description="ignored")


class InputAudioData(BaseModel):
    """Sound in base64."""

    data: str
    format: str = Field(description='a hint such as "wav" or "mp3"; content decides')


class TextPart(BaseModel):
    """Words."""

    type: Literal["text"]
    text: Text


class ImagePart(BaseModel):
    """A picture."""

    type: Literal["image_url"]
    image_url: Url


class VideoPart(BaseModel):
    """A video with or without sound."""

    type: Literal["video_url"]
    video_url: Url


class AudioPart(BaseModel):
    """Sound by URL."""

    type: Literal["audio_url"]
    audio_url: Url


class InputAudioPart(BaseModel):
    """Sound as OpenAI sends it."""

    type: Literal["input_audio"]
    input_audio: InputAudioData


MediaPart = ImagePart | VideoPart | AudioPart | InputAudioPart
Part = Annotated[TextPart | MediaPart, Field(discriminator="type")]


def _form(value: Any) -> str:
    return "text-only" if isinstance(value, str) else "parts"


Content = Annotated[Annotated[Text, Tag("text-only")] | Annotated[list[Part], Tag("parts")], Discriminator(_form)]
Stop = Annotated[Annotated[Text, Tag("text-only")] | Annotated[list[Text], Field(max_length=4), Tag("parts")], Discriminator(_form)]


class ChatMessage(BaseModel):
    """One turn. Clips may stand in the user's turns only."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    name: str | None = Field(None, description="ignored")


class StreamOptions(BaseModel):
    """How to stream."""

    include_usage: bool | None = None


class ResponseFormat(BaseModel):
    """Only `text`."""

    type: str


class Conversation(BaseModel):
    """What all three requests have in common."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[ChatMessage] = Field(min_length=1)

    def ignored(self) -> list[str]:
        """Names of the fields that have no effect, without those no header may hold."""
        return sorted(name for name in self.model_extra or () if SAFE_NAME.fullmatch(name))[:32]


class ChatRequest(Conversation):
    """POST /v1/chat/completions."""

    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1, description="wins over max_tokens")
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False, description="0, greedy, unless given")
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Stop | None = Field(None, description="one string, or up to four")
    repetition_penalty: float | None = Field(None, ge=1, le=2, allow_inf_nan=False, description="an extension, as in vLLM")
    user: str | None = Field(None, description="ignored, and never logged")
    n: int | None = Field(None, description="1 only")
    logprobs: bool | None = Field(None, description="refused; scores of labels: POST /v1/emollm/score")
    top_logprobs: int | None = Field(None, description="refused")
    tools: list[Any] | None = Field(None, description="refused unless empty")
    functions: list[Any] | None = Field(None, description="refused unless empty")
    response_format: ResponseFormat | None = Field(None, description='{"type": "text"} only')

    def refuse_unsupported(self) -> None:
        """Raise rather than answer something else than was asked for.

        Raises:
            ApiError: 400 with the parameter.
        """
        asked = {
            "n": self.n not in (None, 1),
            "logprobs": bool(self.logprobs),
            "top_logprobs": bool(self.top_logprobs),
            "tools": bool(self.tools),
            "functions": bool(self.functions),
            "response_format": self.response_format is not None and self.response_format.type != "text",
        }
        for param, wanted in asked.items():
            if wanted:
                raise ApiError(400, f"{param} is not supported here in this form; leave it out.", code="unsupported_parameter", param=param)

    def sampling(self, limits: Limits) -> Sampling:
        """How the reply is to be drawn; what was not said is the default of `Sampling`."""
        usual = Sampling()
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(
            max_new_tokens=min(self.max_completion_tokens or self.max_tokens or usual.max_new_tokens, limits.new_tokens),
            temperature=usual.temperature if self.temperature is None else self.temperature,
            top_p=usual.top_p if self.top_p is None else self.top_p,
            seed=self.seed,
            stop=tuple(text for text in stop if text),
            repetition_penalty=usual.repetition_penalty if self.repetition_penalty is None else self.repetition_penalty,
        )


class ScoreRequest(Conversation):
    """POST /v1/emollm/score."""

    labels: list[Annotated[Text, Field(min_length=1, max_length=200)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _differ(self) -> ScoreRequest:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        return self


class AnalyzeRequest(Conversation):
    """POST /v1/emollm/analyze: messages that hold exactly one clip."""

    measurements: bool = Field(False, description="also send every number, with landmarks per frame")


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """OpenAI's error object."""

    error: ErrorBody


class ModelObject(BaseModel):
    """One model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "emollm"
    emollm: dict[str, str] = Field(description="system and scale")


class ModelList(BaseModel):
    """All models: the one served here."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class Health(BaseModel):
    """Answered without a key."""

    status: Literal["ok"] = "ok"


class Extension(BaseModel):
    """What stands beside OpenAI's fields; of several clips, evidence, timeline and transcript are the newest one's."""

    system: str
    scale: str
    evidence: dict[str, Any] | None = Field(description="face, voice, words: what is shown, or why it is absent; null without a clip")
    timeline: list[dict[str, Any]]
    transcript: dict[str, Any] | None
    warnings: list[str]
    timings_s: dict[str, float]


class UsageCounts(BaseModel):
    """Tokens; media positions count into the prompt."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(BaseModel):
    """The reply."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """The only choice."""

    index: int = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(BaseModel):
    """A whole reply."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: UsageCounts | None
    emollm: Extension


class ScoreResponse(BaseModel):
    """Probability of each label as the answer; they sum to 1."""

    id: str
    object: Literal["emollm.scores"] = "emollm.scores"
    model: str
    probabilities: dict[str, float]
    warnings: list[str]


class AnalyzeResponse(BaseModel):
    """What was measured in the clip."""

    id: str
    object: Literal["emollm.analysis"] = "emollm.analysis"
    model: str
    kind: Literal["video", "audio", "image"]
    digest: str
    duration_s: float
    evidence: dict[str, Any]
    timeline: list[dict[str, Any]]
    transcript: dict[str, Any] | None
    warnings: list[str]
    timings_s: dict[str, float]
    measurements: dict[str, Any] | None = None
