"""The server as the official client sees it."""

import base64
import json
import threading
import time

import clips
import httpx
import openai
import pytest
from servers import MODEL, client_of, served, server_and_client

from emollm.chat.backend import Reply
from emollm.chat.echo import EchoBackend
from emollm.errors import MediaError
from emollm.serving.limits import Limits

USER = [{"role": "user", "content": "How are you?"}]


def b64(content):
    return base64.b64encode(content).decode()


def url_part(kind, mime, content):
    return {"type": f"{kind}_url", f"{kind}_url": {"url": f"data:{mime};base64,{b64(content)}"}}


def ask(client, messages=USER, **options):
    return client.chat.completions.create(model=MODEL, messages=messages, **options)


def with_part(part, text="What is shown?"):
    return [{"role": "user", "content": [part, {"type": "text", "text": text}]}]


def text_of(completion):
    return completion.choices[0].message.content


# Models


def test_models_are_listed_and_found(client):
    assert [m.id for m in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).emollm == {"system": "echo", "scale": "toy", "version": "echo"}
    assert client.models.retrieve("echo").id == MODEL
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found" and caught.value.request_id.startswith("req_")


def test_health_needs_nothing(url):
    assert httpx.get(url.removesuffix("/v1") + "/health").json() == {"status": "ok"}


# Chat


def test_plain(client):
    answer = ask(client)
    assert text_of(answer) == "Turn 1. Clips: none. You said: How are you?"
    assert (answer.model, answer.object, answer.choices[0].finish_reason) == (MODEL, "chat.completion", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 9, 12)
    assert answer.emollm["evidence"] is None and answer.emollm["system"] == "echo"
    assert answer._request_id.startswith("req_")


def test_string_content_equals_one_text_part(client):
    assert text_of(ask(client)) == text_of(ask(client, [{"role": "user", "content": [{"type": "text", "text": "How are you?"}]}]))


def test_system_and_several_turns(client):
    turns = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert text_of(ask(client, [*turns, {"role": "user", "content": "c"}])) == "Turn 2, with a system message. Clips: none. You said: c"


@pytest.mark.parametrize(
    ("part", "seen"),
    [
        (lambda: url_part("video", "video/mp4", clips.video()), "video of 0.5 s"),
        (lambda: url_part("video", "video/mp4", clips.video(sound=False)), "video of 0.5 s"),
        (lambda: url_part("audio", "audio/wav", clips.wav()), "audio of 0.5 s"),
        (lambda: url_part("image", "image/png", clips.png()), "image of 0.0 s"),
        (lambda: {"type": "input_audio", "input_audio": {"data": b64(clips.wav()), "format": "wav"}}, "audio of 0.5 s"),
    ],
)
def test_every_media_part(client, part, seen):
    answer = ask(client, with_part(part()))
    assert f"Clips: {seen}. You said: What is shown?" in text_of(answer)
    assert answer.emollm["warnings"] == []
    assert answer.emollm["evidence"]["face"]["present"] is False and answer.emollm["evidence"]["voice"]["reason"]
    assert answer.emollm["timeline"] == [] and answer.emollm["transcript"] is None and "decode" in answer.emollm["timings_s"]
    assert answer.usage.prompt_tokens == 32 + 3


def test_two_clips_an_earlier_turn_and_a_turn_without_words(client):
    parts = [url_part("audio", "audio/wav", clips.wav()), url_part("image", "image/png", clips.png())]
    earlier = [*with_part(parts[0]), {"role": "assistant", "content": "ok"}, {"role": "user", "content": "And now?"}]
    assert "Turn 2. Clips: audio of 0.5 s. You said: And now?" in text_of(ask(client, earlier))
    assert text_of(ask(client, [{"role": "user", "content": parts}])) == "Turn 1. Clips: audio of 0.5 s, image of 0.0 s. You said:"


def test_content_decides_and_a_wrong_type_is_warned_of(client):
    answer = ask(client, with_part(url_part("video", "video/mp4", clips.wav())))
    assert "audio of 0.5 s" in text_of(answer)
    (warning,) = answer.emollm["warnings"]
    assert warning.startswith("type_mismatch: messages[0].content[0].video_url.url is sent as video/mp4")


def test_finish_reason_and_limits_of_length(client):
    for limit in ({"max_tokens": 2}, {"max_completion_tokens": 2}, {"max_tokens": 7, "max_completion_tokens": 2}):
        answer = ask(client, **limit)
        assert (text_of(answer), answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("Turn 1.", "length", 2)


@pytest.mark.parametrize(("stop", "text"), [("none", "Turn 1. Clips: "), (["x", "y", "z", ": none. Y"], "Turn 1. Clips"), (None, None)])
def test_stop_strings(client, stop, text):
    text = text or text_of(ask(client))
    assert text_of(ask(client, stop=stop)) == text
    assert "".join(c.choices[0].delta.content or "" for c in ask(client, stop=stop, stream=True)) == text


def test_unknown_fields_are_ignored_and_named(client):
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=USER, user="someone", presence_penalty=1, extra_body={"top_k": 5, "bad name\n": 1}
    )
    assert raw.headers["x-emollm-ignored"] == "presence_penalty, top_k"
    with client.chat.completions.with_streaming_response.create(model=MODEL, messages=USER, stream=True, extra_body={"top_k": 5}) as raw:
        assert raw.headers["x-emollm-ignored"] == "top_k" and raw.headers["x-request-id"].startswith("req_")


# Streaming


def test_streaming_equals_not_streaming(client):
    messages = with_part(url_part("video", "video/mp4", clips.video()), "Says she: “naïve” 👩‍👩‍👧 日本語 🎉?")
    chunks = list(ask(client, messages, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    pieces = [c.choices[0].delta.content or "" for c in chunks]
    assert "".join(pieces) == text_of(ask(client, messages)) and "👩‍👩‍👧" in "".join(pieces)
    assert len([p for p in pieces if p]) > 5 and not any("\ufffd" in p for p in pieces)
    assert [c.choices[0].finish_reason for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[-1].emollm["evidence"]["face"]["present"] is False
    assert len({c.id for c in chunks}) == 1 and all(c.usage is None for c in chunks)


def test_usage_chunk_comes_last_and_only_when_asked(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 12
    assert all(len(c.choices) == 1 and c.usage is None for c in chunks[:-1])


def test_the_stream_on_the_wire(url):
    body = {"model": MODEL, "messages": USER, "stream": True}
    with httpx.stream("POST", f"{url}/chat/completions", json=body) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert lines[-1] == "data: [DONE]" and all(line.startswith("data: ") for line in lines)
    assert json.loads(lines[0][6:])["choices"][0]["delta"] == {"role": "assistant", "content": ""}


class SlowToStart(EchoBackend):
    """Takes its time before the first piece, then may fail."""

    def __init__(self, failure=None):
        super().__init__()
        self.go = threading.Event()
        self.failure = failure

    def reply(self, messages, sampling):
        def write(reply):
            self.go.wait(5)
            if self.failure:
                raise self.failure
            reply.finish_reason = "stop"
            yield "done"

        return Reply(write)


def test_comments_while_nothing_is_ready():
    backend = SlowToStart()
    body = {"model": MODEL, "messages": USER, "stream": True}
    with served(backend, limits=Limits(keepalive_s=0.02)) as url, httpx.stream("POST", f"{url}/chat/completions", json=body) as response:
        lines = response.iter_lines()
        while next(lines) != ": keepalive":
            pass
        backend.go.set()
        assert any('"done"' in line for line in lines)


@pytest.mark.parametrize(
    ("failure", "message"),
    [(MediaError("clip-1.mp4 is broken."), "clip-1.mp4 is broken."), (ZeroDivisionError("canary"), "the server failed")],
)
def test_failing_in_the_middle_of_a_stream(failure, message, caplog):
    backend = SlowToStart(failure)
    with server_and_client(backend, limits=Limits(keepalive_s=0.02)) as client:
        stream = ask(client, stream=True)
        next(iter(stream))
        backend.go.set()
        with pytest.raises(openai.APIError, match=message):
            list(stream)
    assert "canary" not in caplog.text


def test_failing_before_the_first_piece_has_its_own_status(client):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, with_part(url_part("video", "video/mp4", b"no video at all")), stream=stream)
        assert caught.value.code == "media_unreadable" and "clip-1.mp4" in caught.value.message


# Refusals


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "wizard", "content": "a"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0]", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
            "missing_required_parameter",
        ),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "messages", "invalid_value"),
        ({"messages": USER * 21}, "messages", "too_many_messages"),
        (
            {"messages": [{"role": "system", "content": [{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}]}]},
            "messages[0].content[0]",
            "invalid_value",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,AAAA"}}] * 3}]},
            "messages",
            "too_many_clips",
        ),
        ({"n": 5}, "n", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"logprobs": True}, None, "invalid_request"),  # the echo has none; a system of ours has
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"top_logprobs": 3}, "top_logprobs", "invalid_value"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "unsupported_parameter"),
        ({"tool_choice": "required"}, "tool_choice", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
        ({"logit_bias": {"1": 100}}, "logit_bias", "unsupported_parameter"),
        ({"extra_body": {"media_options": {"max_frames": 10**9}}}, "media_options", "unsupported_parameter"),
        ({"extra_body": {"media_options": {"fps": -1, "start": "NaN"}}}, "media_options", "unsupported_parameter"),
        ({"response_format": {"type": "json_object"}}, None, "invalid_request"),
        ({"response_format": {"type": "yaml"}}, "response_format", "invalid_value"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"x": "y" * 40_000}}}},
            "response_format",
            "schema_too_large",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content[0].file", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"top_p": 0}, "top_p", "invalid_value"),
        ({"seed": 2**70}, "seed", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"stop": 7}, "stop", "invalid_value"),
    ],
)
def test_bad_requests_name_the_parameter(client, options, param, code):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **options)
    error = caught.value
    assert (error.status_code, error.param, error.code, error.type) == (400, param, code, "invalid_request_error")
    assert error.request_id.startswith("req_")


def test_harmless_forms_of_unsupported_fields_pass(client):
    assert text_of(ask(client, n=1, logprobs=False, tools=[], tool_choice="none", modalities=["text"], response_format={"type": "text"}))


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://127.0.0.1:1/clip.mp4", "remote_media_disabled"),
        ("HTTPS://example.org/clip.mp4", "remote_media_disabled"),
        ("file:///etc/passwd", "path_not_allowed"),
        ("../../etc/passwd", "path_not_allowed"),
        ("/etc/passwd\0.mp4", "path_not_allowed"),
        ("data:video/mp4;base64", "invalid_data_url"),
        ("data:;base64,AAAA", "invalid_data_url"),
        ("data:video/mp4,AAAA", "invalid_data_url"),
        ("data:video/mp4;base64,A*AA", "invalid_base64"),
        ("data:video/mp4;base64,AAA", "invalid_base64"),
        ("data:video/mp4;base64,AA-_", "invalid_base64"),
        ("data:video/mp4;base64,AA\nAA", "invalid_base64"),
        ("data:video/mp4;base64,日本", "invalid_base64"),
        ("data:video/mp4;base64,", "media_unreadable"),
        ("data:video/mp4;base64,AAAA", "media_unreadable"),
    ],
)
def test_addresses_that_are_refused(client, address, code):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, with_part({"type": "video_url", "video_url": {"url": address}}))
    assert caught.value.code == code


class Refusing(EchoBackend):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def reply(self, messages, sampling):
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (MediaError("too big", code="image_too_large"), 413, openai.APIStatusError),
        (MediaError("too long", code="media_too_long"), 413, openai.APIStatusError),
        (MediaError("no decoder", code="unsupported_media"), 415, openai.APIStatusError),
        (MediaError("broken"), 400, openai.BadRequestError),
        (ZeroDivisionError("canary"), 500, openai.InternalServerError),
    ],
)
def test_errors_of_the_backend_have_their_status(error, status, kind, caplog):
    caplog.set_level("INFO")
    with server_and_client(Refusing(error)) as client, pytest.raises(kind) as caught:
        ask(client)
    assert caught.value.status_code == status
    assert caught.value.code == getattr(error, "code", "internal_error")
    assert "canary" not in caplog.text and "canary" not in str(caught.value)
    assert caught.value.request_id in caplog.text


def test_unknown_model_address_and_method(client, url):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=USER)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model=MODEL, input="a")
    assert caught.value.code == "not_found"
    response = httpx.get(f"{url}/chat/completions")
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{not json", "application/json", 400, "invalid_json"),
        (b'{"a": "\xff"}', "application/json", 400, "invalid_request"),
        (b"[" * 100_000, "application/json", 400, None),
        (b"", "application/json", 400, None),
        (b"[]", "application/json", 400, "invalid_value"),
        (b'{"model": "echo-toy", "messages": [{"role": "user", "content": "\\ud800"}]}', "application/json", 400, "invalid_value"),
        (b'{"model": "\\ud800", "messages": [{"role": "user", "content": "a"}]}', "application/json", 404, "model_not_found"),
        (b'{"model": "echo", "messages": [{"role": "user", "content": [{"type": "\\ud800"}]}]}', "application/json", 400, "invalid_value"),
        (b'{"model": "echo-toy", "temperature": NaN, "messages": []}', "application/json", 400, "invalid_value"),
        (b"model=echo", "application/x-www-form-urlencoded", 415, "unsupported_content_type"),
        (b"x" * 200_001, "application/json", 413, "body_too_large"),
    ],
)
def test_bodies_that_cannot_be_read(url, body, kind, status, code):
    response = httpx.post(f"{url}/chat/completions", content=body, headers={"content-type": kind})
    error = response.json()["error"]
    assert response.status_code == status and set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code or code is None
    assert response.headers["x-request-id"].startswith("req_")


def test_too_large_bodies_are_refused_with_and_without_a_length(client, url):
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, [{"role": "user", "content": "x" * 300_000}])
    assert (caught.value.status_code, caught.value.code) == (413, "body_too_large")
    chunks = (b"x" * 50_000 for _ in range(6))
    response = httpx.post(f"{url}/chat/completions", content=chunks, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


def test_key():
    with served(EchoBackend(), api_key="sésame") as url:
        assert httpx.get(url.removesuffix("/v1") + "/health").status_code == 200
        for key in (" sesame", "", " sésam", " séséme"):
            response = httpx.get(f"{url}/models", headers={"authorization": f"Bearer{key}".encode()})
            assert response.status_code == 401 and response.json()["error"]["type"] == "authentication_error"
        assert httpx.get(f"{url}/models", headers={"authorization": "Bearer sésame".encode()}).status_code == 200
        with client_of(url, "wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
            ask(client)
        assert caught.value.code == "invalid_api_key" and caught.value.request_id.startswith("req_")
        assert httpx.get(url.removesuffix("/v1") + "/openapi.json").json()["error"]["code"] == "missing_api_key"


# Load and leaving


def until(probe, seconds=5.0):
    """Ask again until it is true; the limit only ends a hanging test."""
    end = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < end
        time.sleep(0.01)


def answers(client):
    try:
        return bool(ask(client, max_tokens=1))
    except openai.RateLimitError:
        return False


def test_full_queue_is_429_with_a_hint():
    backend = SlowToStart()
    with server_and_client(backend, limits=Limits(parallel=1, queue=1, keepalive_s=0.02)) as client:
        running, waiting = ask(client, stream=True), ask(client, stream=True)
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client)
        assert caught.value.code == "server_busy" and int(caught.value.response.headers["retry-after"]) > 0
        backend.go.set()
        for stream in (running, waiting):
            assert "".join(c.choices[0].delta.content or "" for c in stream) == "done"
        assert ask(client)


def test_many_at_once_are_all_answered_or_refused():
    with server_and_client(EchoBackend(delay_s=0.002), limits=Limits(parallel=1, queue=4)) as client:
        seen = []

        def one(i):
            try:
                seen.append(text_of(ask(client, [{"role": "user", "content": f"number {i}"}])).endswith(f"number {i}"))
            except openai.RateLimitError:
                seen.append(None)

        threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 20 and False not in seen and True in seen


def test_closing_a_stream_frees_the_slot():
    backend = EchoBackend(delay_s=0.02)
    long = [{"role": "user", "content": "word " * 2000}]  # forty seconds if nobody stopped it
    with server_and_client(backend, limits=Limits(parallel=1, queue=0)) as client:
        stream = ask(client, long, stream=True, max_tokens=4096)
        next(iter(stream))
        assert not answers(client)
        stream.close()
        until(lambda: answers(client))


def test_a_client_that_gives_up_frees_the_slot():
    backend = EchoBackend(delay_s=0.02)
    with server_and_client(backend, limits=Limits(parallel=1, queue=0)) as client:
        with pytest.raises(openai.APITimeoutError):
            ask(client, [{"role": "user", "content": "word " * 2000}], max_tokens=4096, timeout=0.2)
        until(lambda: answers(client))


def test_an_answer_that_takes_too_long_is_504():
    with server_and_client(EchoBackend(delay_s=0.02), limits=Limits(answer_s=0.1)) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            ask(client, [{"role": "user", "content": "word " * 2000}], max_tokens=4096)
        assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")


# Traces


def test_neither_log_nor_disk_keeps_anything(caplog, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    caplog.set_level("DEBUG")
    backend = EchoBackend()
    folders = []
    measure = backend.analyze
    backend.analyze = lambda path, progress=None: (folders.append(path.parent), measure(path, progress))[1]
    with server_and_client(backend) as client:
        part = url_part("audio", "audio/wav", clips.wav())
        ask(client, with_part(part, "canarytext"), user="canaryuser")
        list(ask(client, with_part(part, "canarytext"), stream=True))
        with pytest.raises(openai.BadRequestError):
            ask(client, with_part(url_part("audio", "audio/wav", b"canaryclip")))
    assert folders and all(folder.parent.parent == tmp_path for folder in folders)
    assert list(tmp_path.iterdir()) == []
    ours = "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith(("openai", "httpx", "httpcore", "httpcore2"))
    )
    assert "canary" not in ours and "base64" not in ours and "req_" in ours
