"""What the server answers with, as types: OpenAI's objects, and ours beside them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


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
    emollm: dict[str, str] = Field(description="system, scale, and version of the weights")


class ModelList(BaseModel):
    """All models: the one served here."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class Health(BaseModel):
    """Answered without a key."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether new work is taken; answered without a key."""

    status: Literal["ready", "stopping"]


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
    """Tokens; media positions count into the prompt, and all choices into the completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(BaseModel):
    """The reply."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class TopLogprob(BaseModel):
    """One of the likeliest tokens at a place, by the model's own probabilities."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    """A token that was written."""

    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(BaseModel):
    """Of all tokens of a choice."""

    content: list[TokenLogprob]
    refusal: None = None


class Choice(BaseModel):
    """One reply of the `n` asked for."""

    index: int
    message: AssistantMessage
    logprobs: ChoiceLogprobs | None
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


class FileObject(BaseModel):
    """An upload."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(BaseModel):
    """Uploads of this API key, the newest first."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    has_more: Literal[False] = False


class Deleted(BaseModel):
    """Something is gone."""

    id: str
    object: str
    deleted: Literal[True] = True


class JobProgress(BaseModel):
    """How far a job is."""

    total: int = Field(description="clips")
    done: int
    share: float = Field(description="of all clips together, 0 to 1")
    stage: str = Field(description='what is being done to the present clip, e.g. "finding faces"')


class ClipResult(BaseModel):
    """One clip of a job: what was measured, or why it could not be."""

    index: int
    status: Literal["queued", "completed", "failed", "cancelled"]
    error: ErrorBody | None
    analysis: AnalyzeResponse | None


class JobObject(BaseModel):
    """An analysis of one or several clips; `results` are there once the job has ended."""

    id: str
    object: Literal["emollm.analysis_job"] = "emollm.analysis_job"
    model: str
    status: Literal["queued", "in_progress", "completed", "failed", "cancelled"]
    created_at: int
    expires_at: int
    progress: JobProgress
    results: list[ClipResult] | None


class JobList(BaseModel):
    """Jobs of this API key, the newest first, without their results."""

    object: Literal["list"] = "list"
    data: list[JobObject]


class TranscriptSegment(BaseModel):
    """A stretch of a transcript, with OpenAI's names."""

    id: int
    start: float
    end: float
    text: str


class TranscriptWord(BaseModel):
    """A word with its times, and how sure the recogniser is of it."""

    word: str
    start: float
    end: float
    probability: float


class TranscriptionText(BaseModel):
    """`json`: words only."""

    text: str


class Transcription(TranscriptionText):
    """`verbose_json`."""

    task: Literal["transcribe"] = "transcribe"
    language: str | None
    duration: float
    segments: list[TranscriptSegment] | None
    words: list[TranscriptWord] | None
    warnings: list[str]
