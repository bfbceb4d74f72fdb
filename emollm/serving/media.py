"""Content parts to local files: what a part names is checked before anything is decoded, and files live in a private folder as long as one
request.

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
from typing import Literal

from emollm.serving.errors import ApiError
from emollm.serving.fetch import Fetcher
from emollm.serving.limits import Limits
from emollm.serving.private import storing
from emollm.serving.schema import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    InputAudioPart,
    InputVideoPart,
    MediaPart,
    TextPart,
    VideoPart,
)
from emollm.serving.uploads import ID, Uploads
from emollm.values import Analysis, Message

MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
KINDS = ("video", "audio", "image")
ANIMATED = ("image/gif", "image/webp", "image/apng", "image/png")
ANY = "file"  # a part that claims nothing about its content


@dataclass(frozen=True, slots=True)
class Clue:
    """A clip as it was named: in base64, by an upload's id, or by an address; with what the client says it is."""

    param: str  # where in the request
    part: str  # video, audio or image, by the part's type; file if it says nothing
    mime: str  # empty if it was not said
    source: Literal["data", "upload", "url"]
    value: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A message whose clips are not files yet."""

    role: str
    text: str
    clues: tuple[Clue, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """The messages of a request with their clips as files, and what was claimed of each file."""

    messages: tuple[Message, ...]
    claims: dict[Path, Clue]

    def mismatches(self, path: Path, analysis: Analysis) -> list[str]:
        """Warnings where the claim and the content disagree."""
        clue = self.claims[path]
        if clue.part == ANY or (analysis.kind == "video" and clue.mime in ANIMATED):
            return []
        said = clue.mime if clue.mime.partition("/")[0] in KINDS else clue.part
        if analysis.kind in said and analysis.kind == clue.part:
            return []
        return [f"type_mismatch: {clue.param} is sent as {said} in a part for {clue.part}, but by its content it is {analysis.kind}"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where clips of one client come from and are put."""

    owner: str
    folder: Path
    uploads: Uploads
    fetcher: Fetcher

    @contextmanager
    def received(self, turns: Sequence[Turn]) -> Iterator[Received]:
        """Clips as files of a private folder, one per content, gone on leaving.

        Raises:
            ApiError: A clip is not base64, is not there, may not be fetched, or cannot be stored.
        """
        with _folder(self.folder) as folder:
            kept: dict[str, Path] = {}
            claims: dict[Path, Clue] = {}
            messages = []
            for turn in turns:
                paths = []
                for clue in turn.clues:
                    path = folder / f"clip-{len(kept) + 1}{mimetypes.guess_extension(clue.mime) or ''}"  # from a fixed table
                    self._put(clue, path)
                    digest = _digest(path)
                    if digest in kept:
                        path.unlink()
                    else:
                        kept[digest], claims[path] = path, clue
                    paths.append(kept[digest])
                messages.append(Message(turn.role, turn.text, tuple(paths)))  # type: ignore[arg-type]  # one of the three roles by now
            yield Received(tuple(messages), claims)

    def _put(self, clue: Clue, path: Path) -> None:
        match clue.source:
            case "data":
                content = _decoded(clue)
                with storing():
                    path.write_bytes(content)
            case "upload":
                self.uploads.lend(self.owner, clue.value, path)
            case "url":
                self.fetcher.fetch(clue.value, path, clue.param)


@contextmanager
def _folder(inside: Path) -> Iterator[Path]:
    with storing():
        kept = TemporaryDirectory(prefix="request-", dir=inside, ignore_cleanup_errors=True)
    with kept as folder:
        yield Path(folder)


def _digest(path: Path) -> str:
    with storing(), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_turns(messages: Sequence[ChatMessage], limits: Limits, fetcher: Fetcher) -> tuple[Turn, ...]:
    """Check messages without decoding a clip.

    Raises:
        ApiError: 400 with the place in the request.
    """
    if len(messages) > limits.messages:
        raise ApiError(400, f"{len(messages)} messages; the limit is {limits.messages}.", code="too_many_messages", param="messages")
    turns = tuple(_turn(message, f"messages[{at}]", fetcher) for at, message in enumerate(messages))
    clips = sum(len(turn.clues) for turn in turns)
    if clips > limits.clips:
        raise ApiError(400, f"{clips} clips in one request; the limit is {limits.clips}.", code="too_many_clips", param="messages")
    if (letters := sum(len(turn.text) for turn in turns)) > limits.text_chars:
        message = f"the messages have {letters} characters; the limit is {limits.text_chars}. Shorten them."
        raise ApiError(400, message, code="context_length_exceeded", param="messages")
    if turns[-1].role != "user":
        raise ApiError(
            400, f"the last message must be the user's, but its role is {turns[-1].role!r}.", code="invalid_value", param="messages"
        )
    return turns


def _turn(message: ChatMessage, param: str, fetcher: Fetcher) -> Turn:
    role = "system" if message.role == "developer" else message.role
    if isinstance(message.content, str):
        return Turn(role, message.content, ())
    texts: list[str] = []
    clues: list[Clue] = []
    for at, part in enumerate(message.content):
        place = f"{param}.content[{at}]"
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif role != "user":
            raise ApiError(
                400, f"{place}: a clip may stand in the user's messages only, not in those of {role!r}.", code="invalid_value", param=place
            )
        else:
            clues.append(_clue(part, place, fetcher))
    return Turn(role, "\n".join(texts), tuple(clues))


def _clue(part: MediaPart, place: str, fetcher: Fetcher) -> Clue:
    match part:
        case InputAudioPart():
            return Clue(f"{place}.input_audio.data", "audio", _mime("audio", part.input_audio.format), "data", part.input_audio.data)
        case InputVideoPart():
            return Clue(f"{place}.input_video.data", "video", _mime("video", part.input_video.format), "data", part.input_video.data)
        case ImagePart():
            return address_clue(part.image_url.url, f"{place}.image_url.url", "image", fetcher)
        case VideoPart():
            return address_clue(part.video_url.url, f"{place}.video_url.url", "video", fetcher)
        case AudioPart():
            return address_clue(part.audio_url.url, f"{place}.audio_url.url", "audio", fetcher)
        case FilePart():
            return _file(part, place)


def _mime(kind: str, form: str) -> str:
    mime = f"{kind}/{form.lower()[:40]}"
    return mime if MIME.fullmatch(mime) else f"{kind}/unknown"


def _file(part: FilePart, place: str) -> Clue:
    if (part.file.file_id is None) == (part.file.file_data is None):
        raise ApiError(400, f"{place}.file: give either file_id or file_data.", code="invalid_value", param=f"{place}.file")
    if part.file.file_id is not None:
        return Clue(f"{place}.file.file_id", ANY, "", "upload", part.file.file_id)
    assert part.file.file_data is not None
    return _data_url(part.file.file_data, f"{place}.file.file_data", ANY)


def address_clue(url: str, param: str, part: str, fetcher: Fetcher) -> Clue:
    """What a URL names: data, an upload, or a host elsewhere.

    Raises:
        ApiError: 400 if it is none of these, or not allowed.
    """
    if ID.fullmatch(url):
        return Clue(param, part, "", "upload", url)
    scheme = url[:16].partition(":")[0].lower() if ":" in url[:16] else ""
    if scheme in ("http", "https", "ftp", "s3", "gs"):
        fetcher.check(url, param)
        return Clue(param, part, "", "url", url)
    if scheme != "data":
        raise ApiError(
            400, f"{param}: files of the server cannot be named; send the clip itself as a data: URL.", code="path_not_allowed", param=param
        )
    return _data_url(url, param, part)


def _data_url(url: str, param: str, part: str) -> Clue:
    """Take `data:MIME[;parameter...];base64,DATA` apart."""
    head, comma, data = url[5:].partition(",")
    mime, *options = (piece.strip().lower() for piece in head[:512].split(";"))
    if url[:5].lower() != "data:" or not comma or not MIME.fullmatch(mime) or "base64" not in options[-1:]:
        raise ApiError(400, f"{param}: not of the form data:video/mp4;base64,... .", code="invalid_data_url", param=param)
    return Clue(param, part, mime, "data", data)


def _decoded(clue: Clue) -> bytes:
    try:
        return binascii.a2b_base64(clue.value, strict_mode=True)
    except ValueError:
        raise ApiError(
            400,
            f"{clue.param}: not base64 in the standard alphabet with padding and without line breaks.",
            code="invalid_base64",
            param=clue.param,
        ) from None
