"""The part of OpenAI's chat API that is spoken here, as types, and the two endpoints that are ours.

A field that is not listed is ignored and named in the `x-emollm-ignored` header; one that asks for another answer than we can give
(`tools`, spoken answers, a bias of single tokens) is refused by its name in `refuse_unsupported`.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from emollm.serving.errors import ApiError
from emollm.serving.limits import Limits
from emollm.values import Sampling

ANY_OBJECT = '{"type": "object"}'  # what OpenAI calls json_object
SAFE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is not text") from None
    return text


Text = Annotated[str, AfterValidator(_whole)]


class Url(BaseModel):
    """Where a clip is: `data:MIME;base64,...`, the id of an upload (`file-...`), or an address that this server may ask."""

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


class InputVideoPart(BaseModel):
    """A video as some servers want it: the same as `video_url` with the data alone."""

    type: Literal["input_video"]
    input_video: InputAudioData


class FileReference(BaseModel):
    """An upload by its id, or a file in place; one of the two."""

    file_id: str | None = None
    file_data: str | None = Field(None, description="data:MIME;base64,...")
    filename: str | None = Field(None, description="ignored: content decides")


class FilePart(BaseModel):
    """A clip as OpenAI's `file` part."""

    type: Literal["file"]
    file: FileReference


MediaPart = ImagePart | VideoPart | AudioPart | InputAudioPart | InputVideoPart | FilePart
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


class JsonSchema(BaseModel):
    """The schema that an answer must follow, as OpenAI's clients send it."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(max_length=64)
    description: str | None = Field(None, description="ignored")
    rules: dict[str, Any] = Field(alias="schema")
    strict: bool | None = Field(None, description="ignored: a schema is always followed")


class TextFormat(BaseModel):
    """Free text."""

    type: Literal["text"]


class JsonObjectFormat(BaseModel):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchemaFormat(BaseModel):
    """JSON of a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class OpenRequest(BaseModel):
    """A request that may hold fields we do not know."""

    model_config = ConfigDict(extra="allow")

    def ignored(self) -> list[str]:
        """Names of the fields that have no effect, without those no header may hold."""
        return sorted(name for name in self.model_extra or () if SAFE_NAME.fullmatch(name))[:32]


class Conversation(OpenRequest):
    """What the requests about messages have in common."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)


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
    sentence_penalty: float | None = Field(
        None, ge=1, le=1000, allow_inf_nan=False, description="an extension; 1 lets answers repeat themselves"
    )
    user: str | None = Field(None, description="ignored, and never logged")
    n: int | None = Field(None, ge=1, description="how many answers; with a seed, the second is drawn with seed + 1, and so on")
    logprobs: bool | None = Field(None, description="log-probabilities of tokens; streamed, they come with the last chunk of a choice")
    top_logprobs: int | None = Field(None, ge=0)
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = Field(None, description="refused unless empty")
    functions: list[Any] | None = Field(None, description="refused unless empty")
    tool_choice: Any = Field(None, description='refused unless "none" or "auto"')
    modalities: list[str] | None = Field(None, description='["text"] only')
    audio: dict[str, Any] | None = Field(None, description="refused")
    logit_bias: dict[str, Any] | None = Field(None, description="refused unless empty")
    media_options: dict[str, Any] | None = Field(
        None, description="refused unless empty: which frames are looked at is the server's choice"
    )

    def refuse_unsupported(self, limits: Limits) -> None:
        """Raise rather than answer something else than was asked for.

        Raises:
            ApiError: 400 with the parameter.
        """
        asked = {
            "tools": bool(self.tools),
            "functions": bool(self.functions),
            "tool_choice": self.tool_choice not in (None, "none", "auto"),
            "modalities": self.modalities is not None and self.modalities != ["text"],
            "audio": self.audio is not None,
            "logit_bias": bool(self.logit_bias),
            "media_options": bool(self.media_options),
        }
        for param, wanted in asked.items():
            if wanted:
                raise ApiError(400, f"{param} is not supported here in this form; leave it out.", code="unsupported_parameter", param=param)
        most = {"n": (self.n, limits.choices), "top_logprobs": (self.top_logprobs, limits.top_logprobs)}
        for param, (value, limit) in most.items():
            if value is not None and value > limit:
                raise ApiError(400, f"{param} is {value}; the limit is {limit}.", code="invalid_value", param=param)
        if self.top_logprobs and not self.logprobs:
            raise ApiError(400, "top_logprobs needs logprobs to be true.", code="invalid_value", param="top_logprobs")
        if len(self.schema_text() or "") > limits.schema_chars:
            message = f"the JSON schema is longer than {limits.schema_chars} characters."
            raise ApiError(400, message, code="schema_too_large", param="response_format")

    def schema_text(self) -> str | None:
        """The JSON schema of the answer as text; None for free text."""
        match self.response_format:
            case JsonObjectFormat():
                return ANY_OBJECT
            case JsonSchemaFormat(json_schema=asked):
                return json.dumps(asked.rules)
        return None

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
            sentence_penalty=usual.sentence_penalty if self.sentence_penalty is None else self.sentence_penalty,
            schema=self.schema_text(),
            logprobs=max(1, self.top_logprobs or 0) if self.logprobs else 0,
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


class JobRequest(OpenRequest):
    """POST /v1/analyses."""

    model: str | None = None
    clips: list[str] = Field(min_length=1, description="each a data: URL, the id of an upload, or an address that this server may ask")
    measurements: bool = Field(False, description="also keep every number, with landmarks per frame")
