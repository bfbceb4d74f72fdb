"""Content parts to local files: data URLs are checked before they are decoded, and files live in a private folder as long as one request.

Content decides what a clip is; what the client claimed only leads to a warning.
"""

from __future__ import annotations

import binascii
import hashlib
import mimetypes
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from emollm.serving.errors import ApiError
from emollm.serving.limits import Limits
from emollm.serving.schema import AudioPart, ChatMessage, ImagePart, InputAudioPart, MediaPart, TextPart, VideoPart
from emollm.values import Analysis, Message

MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
KINDS = ("video", "audio", "image")
ANIMATED = ("image/gif", "image/webp", "image/apng", "image/png")


@dataclass(frozen=True, slots=True)
class Upload:
    """A clip as it came: still base64, with what the client says it is."""

    param: str  # where in the request
    part: str  # video, audio or image, by the part's type
    mime: str
    data: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A message whose clips are not files yet."""

    role: str
    text: str
    uploads: tuple[Upload, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """The messages of a request with their clips as files, and what was claimed of each file."""

    messages: tuple[Message, ...]
    claims: dict[Path, Upload]

    def mismatches(self, path: Path, analysis: Analysis) -> list[str]:
        """Warnings where the claim and the content disagree."""
        upload = self.claims[path]
        if analysis.kind == "video" and upload.mime in ANIMATED:
            return []
        said = upload.mime if upload.mime.partition("/")[0] in KINDS else upload.part
        if analysis.kind in said and analysis.kind == upload.part:
            return []
        return [f"type_mismatch: {upload.param} is sent as {said} in a part for {upload.part}, but by its content it is {analysis.kind}"]


def read_turns(messages: Sequence[ChatMessage], limits: Limits) -> tuple[Turn, ...]:
    """Check messages without decoding a clip.

    Raises:
        ApiError: 400 with the place in the request.
    """
    if len(messages) > limits.messages:
        raise ApiError(400, f"{len(messages)} messages; the limit is {limits.messages}.", code="too_many_messages", param="messages")
    turns = tuple(_turn(message, f"messages[{at}]") for at, message in enumerate(messages))
    clips = sum(len(turn.uploads) for turn in turns)
    if clips > limits.clips:
        raise ApiError(400, f"{clips} clips in one request; the limit is {limits.clips}.", code="too_many_clips", param="messages")
    if turns[-1].role != "user":
        raise ApiError(
            400, f"the last message must be the user's, but its role is {turns[-1].role!r}.", code="invalid_value", param="messages"
        )
    return turns


def _turn(message: ChatMessage, param: str) -> Turn:
    role = "system" if message.role == "developer" else message.role
    if isinstance(message.content, str):
        return Turn(role, message.content, ())
    texts: list[str] = []
    uploads: list[Upload] = []
    for at, part in enumerate(message.content):
        place = f"{param}.content[{at}]"
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif role != "user":
            raise ApiError(
                400, f"{place}: a clip may stand in the user's messages only, not in those of {role!r}.", code="invalid_value", param=place
            )
        else:
            uploads.append(_upload(part, place))
    return Turn(role, "\n".join(texts), tuple(uploads))


def _upload(part: MediaPart, place: str) -> Upload:
    match part:
        case InputAudioPart():
            mime = f"audio/{part.input_audio.format.lower()[:40]}"
            mime = mime if MIME.fullmatch(mime) else "audio/unknown"
            return Upload(f"{place}.input_audio.data", "audio", mime, part.input_audio.data)
        case ImagePart():
            return _data_url(part.image_url.url, f"{place}.image_url.url", "image")
        case VideoPart():
            return _data_url(part.video_url.url, f"{place}.video_url.url", "video")
        case AudioPart():
            return _data_url(part.audio_url.url, f"{place}.audio_url.url", "audio")


def _data_url(url: str, param: str, part: str) -> Upload:
    """Take `data:MIME[;parameter...];base64,DATA` apart."""
    scheme = url[:16].partition(":")[0].lower() if ":" in url[:16] else ""
    if scheme in ("http", "https", "ftp", "s3", "gs"):
        raise ApiError(
            400, f"{param}: this server fetches nothing; send the clip itself as a data: URL.", code="remote_media_disabled", param=param
        )
    if scheme != "data":
        raise ApiError(
            400, f"{param}: files of the server cannot be named; send the clip itself as a data: URL.", code="path_not_allowed", param=param
        )
    head, comma, data = url[5:].partition(",")
    mime, *options = (piece.strip().lower() for piece in head[:512].split(";"))
    if not comma or not MIME.fullmatch(mime) or "base64" not in options[-1:]:
        raise ApiError(400, f"{param}: not of the form data:video/mp4;base64,... .", code="invalid_data_url", param=param)
    return Upload(param, part, mime, data)


@contextmanager
def received(turns: Sequence[Turn]) -> Iterator[Received]:
    """Clips as files of a private folder, one per content, gone on leaving.

    Raises:
        ApiError: 400 if a clip is not base64.
    """
    with TemporaryDirectory(prefix="emollm-request-") as folder:
        kept: dict[str, Path] = {}
        claims: dict[Path, Upload] = {}
        messages = []
        for turn in turns:
            paths = []
            for upload in turn.uploads:
                content = _decoded(upload)
                digest = hashlib.sha256(content).hexdigest()
                if digest not in kept:
                    suffix = mimetypes.guess_extension(upload.mime) or ""  # from a fixed table
                    kept[digest] = Path(folder) / f"clip-{len(kept) + 1}{suffix}"
                    kept[digest].write_bytes(content)
                    claims[kept[digest]] = upload
                paths.append(kept[digest])
            messages.append(Message(turn.role, turn.text, tuple(paths)))  # type: ignore[arg-type]  # one of the three roles by now
        yield Received(tuple(messages), claims)


def _decoded(upload: Upload) -> bytes:
    try:
        return binascii.a2b_base64(upload.data, strict_mode=True)
    except ValueError:
        raise ApiError(
            400,
            f"{upload.param}: not base64 in the standard alphabet with padding and without line breaks.",
            code="invalid_base64",
            param=upload.param,
        ) from None
