"""Uploads and transcriptions, as the official client makes them."""

import io
import json
from dataclasses import replace
from pathlib import Path

import clips
import httpx
import openai
import pytest
from servers import MODEL, client_of, served

from emollm.chat.echo import EchoBackend
from emollm.serving.limits import Limits
from emollm.serving.uploads import Uploads
from emollm.values import Segment, Transcript, Word

SAID = Transcript("en", (Segment(0.0, 0.4, " Hello <there>.", (Word(0.0, 0.2, " Hello", 0.9), Word(0.2, 0.4, " <there>.", 0.8))),))


class Heard(EchoBackend):
    """Hears the same words in every sound that is not silent."""

    def __init__(self):
        super().__init__()
        self.forgotten = []

    def analyze(self, path, progress=None):
        found = super().analyze(path, progress)
        silent = found.kind == "image" or path.read_bytes() == clips.wav(hz=0.0)
        return replace(found, words=None if silent else SAID)

    def forget(self, path):
        self.forgotten.append(path.exists())
        super().forget(path)


@pytest.fixture(scope="module")
def backend():
    return Heard()


@pytest.fixture(scope="module")
def address(backend):
    with served(backend, api_key=["anna", "ben"], limits=Limits(file_bytes=300_000, files=3)) as url:
        yield url


@pytest.fixture
def anna(address):
    with client_of(address, "anna") as client:
        yield client
        for file in client.files.list():
            client.files.delete(file.id)


@pytest.fixture
def ben(address):
    with client_of(address, "ben") as client:
        yield client


def put(client, content, name="clip.mp4"):
    return client.files.create(file=(name, content), purpose="user_data")


def part_of(file_id):
    return [{"role": "user", "content": [{"type": "file", "file": {"file_id": file_id}}, {"type": "text", "text": "Look."}]}]


def test_an_upload_is_told_listed_used_and_deleted(anna, backend):
    file = put(anna, clips.video(), "../../etc/räksmörgås.mp4")
    assert (file.object, file.bytes, file.purpose, file.status) == ("file", len(clips.video()), "user_data", "processed")
    assert file.expires_at > file.created_at and anna.files.retrieve(file.id) == file and [f.id for f in anna.files.list()] == [file.id]
    said = anna.chat.completions.create(model=MODEL, messages=part_of(file.id)).choices[0].message.content
    assert "video of 0.5 s" in said
    by_url = [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": file.id}}]}]
    answer = anna.chat.completions.create(model=MODEL, messages=by_url)
    assert "video of 0.5 s" in answer.choices[0].message.content and answer.emollm["warnings"] == []
    before = len(backend.forgotten)
    assert anna.files.delete(file.id).deleted and backend.forgotten[before:] == [True]  # the file was still there when it was forgotten
    for gone in (lambda: anna.files.retrieve(file.id), lambda: anna.chat.completions.create(model=MODEL, messages=part_of(file.id))):
        with pytest.raises(openai.NotFoundError) as caught:
            gone()
        assert caught.value.code == "file_not_found"


def test_another_key_sees_and_uses_nothing(anna, ben):
    file = put(anna, clips.wav())
    assert list(ben.files.list()) == []
    for attempt in (
        lambda: ben.files.retrieve(file.id),
        lambda: ben.files.delete(file.id),
        lambda: ben.chat.completions.create(model=MODEL, messages=part_of(file.id)),
        lambda: ben.files.content(file.id),
        lambda: anna.files.content(file.id),  # nobody gets a clip back, not even its owner
    ):
        with pytest.raises(openai.NotFoundError):
            attempt()
    assert anna.files.retrieve(file.id).id == file.id


def test_files_in_place_need_no_upload(anna):
    import base64

    data = f"data:video/mp4;base64,{base64.b64encode(clips.video()).decode()}"
    for part in (
        {"type": "file", "file": {"file_data": data, "filename": "a.mp4"}},
        {"type": "input_video", "input_video": {"data": data.partition(",")[2], "format": "mp4"}},
    ):
        answer = anna.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [part]}])
        assert "video of 0.5 s" in answer.choices[0].message.content and answer.emollm["warnings"] == []


def test_too_large_and_too_many(anna, address):
    with pytest.raises(openai.APIStatusError) as caught:
        put(anna, bytes(300_001))
    assert (caught.value.status_code, caught.value.code) == (413, "file_too_large")
    with pytest.raises(openai.APIStatusError) as caught:
        put(anna, bytes(3_000_000))
    assert (caught.value.status_code, caught.value.code) == (413, "body_too_large")
    chunks = (b"x" * 100_000 for _ in range(30))  # without a length
    kind = {"content-type": "multipart/form-data; boundary=b", "authorization": "Bearer anna"}
    head = iter([b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n', *chunks])
    response = httpx.post(f"{address}/files", content=head, headers=kind, timeout=60)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    for _ in range(3):
        put(anna, clips.png())
    with pytest.raises(openai.APIStatusError) as caught:
        put(anna, clips.png())
    assert (caught.value.status_code, caught.value.code) == (413, "too_many_files")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"junk", "multipart/form-data", 400),
        (b"junk", "multipart/form-data; boundary=x", 400),
        (b"", "", 400),
    ],
)
def test_forms_that_cannot_be_read(address, body, kind, status):
    headers = {"authorization": "Bearer anna"} | ({"content-type": kind} if kind else {})
    for path in ("files", "audio/transcriptions"):
        response = httpx.post(f"{address}/{path}", content=body, headers=headers)
        assert response.status_code == status and set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_old_uploads_go_and_leave_nothing(tmp_path):
    now, forgotten = [1000.0], []
    uploads = Uploads(tmp_path, Limits(keep_s=60), forgotten.append, clock=lambda: now[0])
    told = uploads.add("anna", "a.wav", "user_data", io.BytesIO(clips.wav()))
    now[0] += 59
    assert uploads.all_of("anna") == [told] and len(list(tmp_path.iterdir())) == 1
    now[0] += 2
    assert uploads.all_of("anna") == [] and list(tmp_path.iterdir()) == [] and len(forgotten) == 1


def test_what_cannot_be_stored_is_told_and_leaves_nothing(tmp_path):
    from emollm.serving.errors import ApiError

    class Full(io.BytesIO):
        def read(self, size=-1):
            raise OSError(28, "No space left on device")

    uploads = Uploads(tmp_path, Limits(), lambda path: None)
    with pytest.raises(ApiError) as caught:
        uploads.add("anna", "a.wav", "user_data", Full())
    assert (caught.value.status, caught.value.code) == (507, "storage_full") and list(tmp_path.iterdir()) == []
    gone = Uploads(tmp_path / "nowhere", Limits(), lambda path: None)
    with pytest.raises(ApiError) as caught:
        gone.add("anna", "a.wav", "user_data", io.BytesIO(b"x"))
    assert (caught.value.status, caught.value.code) == (503, "storage_unavailable")


# Transcriptions


def write(client, form, **more):
    return client.audio.transcriptions.create(model="whisper-1", file=("a.wav", clips.wav()), response_format=form, **more)


def test_every_form_of_a_transcript(anna):
    assert write(anna, "json").text == "Hello <there>."
    assert write(anna, "text") == "Hello <there>.\n"
    assert write(anna, "srt") == "1\n00:00:00,000 --> 00:00:00,400\nHello <there>.\n"
    assert write(anna, "vtt") == "WEBVTT\n\n00:00:00.000 --> 00:00:00.400\nHello &lt;there&gt;.\n"
    full = write(anna, "verbose_json", timestamp_granularities=["word", "segment"])
    assert (full.language, full.duration, full.segments[0].end, full.segments[0].id) == ("en", 0.5, 0.4, 0)
    assert [(w.word, w.start, w.end) for w in full.words] == [("Hello", 0.0, 0.2), ("<there>.", 0.2, 0.4)]
    assert write(anna, "verbose_json").words is None
    assert list(anna.files.list()) == []  # what was heard is not kept


def test_what_is_heard_in_an_upload_is_measured_once(anna, backend):
    content = clips.wav(hz=300.0)
    file, before = put(anna, content), backend.decodes
    anna.chat.completions.create(model=MODEL, messages=part_of(file.id))
    anna.audio.transcriptions.create(model=MODEL, file=("a.wav", content))
    anna.chat.completions.create(model=MODEL, messages=part_of(file.id))
    assert backend.decodes == before + 1
    anna.files.delete(file.id)
    anna.audio.transcriptions.create(model=MODEL, file=("a.wav", content))
    anna.audio.transcriptions.create(model=MODEL, file=("a.wav", content))
    assert backend.decodes == before + 3  # forgotten each time


def test_silence_is_an_empty_text_and_a_picture_an_error(anna):
    silent = ("a.wav", clips.wav(hz=0.0))
    told = {
        form: anna.audio.transcriptions.create(model=MODEL, file=silent, response_format=form) for form in ("json", "text", "srt", "vtt")
    }
    assert (told["json"].text, told["text"].strip(), told["srt"], told["vtt"]) == ("", "", "", "WEBVTT\n")
    assert anna.audio.transcriptions.create(model=MODEL, file=silent, response_format="verbose_json").segments == []
    for content, code in ((clips.png(), "no_sound"), (b"junk", "media_unreadable"), (b"", "media_unreadable")):
        with pytest.raises(openai.BadRequestError) as caught:
            anna.audio.transcriptions.create(model=MODEL, file=("a.wav", content))
        assert caught.value.code == code
    assert list(anna.files.list()) == []


def test_transcriptions_refuse_and_name(anna, address):
    with pytest.raises(openai.NotFoundError):
        anna.audio.transcriptions.create(model="gpt-9", file=("a.wav", clips.wav()))
    with pytest.raises(openai.BadRequestError) as caught:
        write(anna, "yaml")
    assert caught.value.param == "response_format"
    with pytest.raises(openai.BadRequestError) as caught:
        anna.audio.transcriptions.create(model=MODEL, file=("a.wav", clips.wav()), stream=True)
    assert caught.value.param == "stream"
    form = {"model": MODEL, "chunking_strategy": "auto"}
    response = httpx.post(
        f"{address}/audio/transcriptions", data=form, files={"file": clips.wav()}, headers={"authorization": "Bearer anna"}
    )
    assert response.headers["x-emollm-ignored"] == "chunking_strategy" and json.loads(response.text)["text"]


def test_a_stopped_server_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / "emollm-serve-999999999-old"
    dead.mkdir()
    (dead / "clip").write_bytes(b"x")
    with served(EchoBackend()) as url, client_of(url) as client:
        assert not dead.exists()  # swept when the next one began
        put(client, clips.wav())
        (folder,) = tmp_path.iterdir()
        assert Path(folder).stat().st_mode & 0o77 == 0
    assert list(tmp_path.iterdir()) == []
