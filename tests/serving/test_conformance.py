"""Twelve points that an OpenAI-compatible server is held to, by the official client, both the plain and the asynchronous one.

What a point needs in more depth stands in the other files of this folder; here each is shown with both clients. The probes at the end are
requests that other servers answer wrongly.
"""

import asyncio
import base64
import json
import threading

import clips
import httpx
import openai
import pydantic
import pytest
from servers import MODEL, client_of, served

from emollm.chat.echo import EchoBackend
from emollm.serving.limits import Limits

USER = [{"role": "user", "content": "How are you?"}]
TOY = "emollm-toy"


class Plain:
    """The plain client."""

    def __init__(self, url, **options):
        self.client = openai.OpenAI(base_url=url, **{"api_key": "any", "max_retries": 0, "timeout": 60, **options})

    def call(self, ask):
        found = ask(self.client)
        return list(found) if isinstance(found, openai.Stream) else found

    def begin(self, ask):
        """Read one chunk of a stream; returns what closes it."""
        stream = ask(self.client)
        next(iter(stream))
        return stream.close

    def close(self):
        self.client.close()


class Async:
    """The asynchronous client, in a loop of its own."""

    def __init__(self, url, **options):
        self.loop = asyncio.new_event_loop()
        self.client = openai.AsyncOpenAI(base_url=url, **{"api_key": "any", "max_retries": 0, "timeout": 60, **options})

    def call(self, ask):
        async def run():
            found = await ask(self.client)
            return [chunk async for chunk in found] if isinstance(found, openai.AsyncStream) else found

        return self.loop.run_until_complete(run())

    def begin(self, ask):
        async def run():
            stream = await ask(self.client)
            await anext(aiter(stream))
            return stream

        stream = self.loop.run_until_complete(run())
        return lambda: self.loop.run_until_complete(stream.close())

    def close(self):
        self.loop.run_until_complete(self.client.close())
        self.loop.close()


@pytest.fixture(scope="module")
def one_at_a_time():
    with served(EchoBackend(delay_s=0.01), limits=Limits(parallel=1, queue=0), api_key="k") as url:
        yield url


@pytest.fixture(params=[Plain, Async], ids=["plain", "async"])
def kind(request):
    return request.param


@pytest.fixture
def echo(kind, url):
    client = kind(url)
    yield client
    client.close()


@pytest.fixture
def system(kind, toy_url):
    client = kind(toy_url)
    yield client
    client.close()


def chat(**options):
    return lambda client: client.chat.completions.create(**{"model": MODEL, "messages": USER, **options})


def said(completion):
    return completion.choices[0].message.content


def part(kind, mime, content):
    return {"type": f"{kind}_url", f"{kind}_url": {"url": f"data:{mime};base64,{base64.b64encode(content).decode()}"}}


def test_1_models(echo):
    assert [m.id for m in echo.call(lambda c: c.models.list()).data] == [MODEL]
    assert echo.call(lambda c: c.models.retrieve(MODEL)).id == MODEL
    with pytest.raises(openai.NotFoundError) as caught:
        echo.call(lambda c: c.models.retrieve("gpt-9"))
    assert caught.value.code == "model_not_found"


def test_2_turns_and_forms_of_content(echo):
    turns = [
        {"role": "system", "content": "Be kind."},
        *USER,
        {"role": "assistant", "content": "Well."},
        {"role": "user", "content": "Good."},
    ]
    assert said(echo.call(chat(messages=turns))).startswith("Turn 2, with a system message.")
    parts = [{"role": "user", "content": [{"type": "text", "text": "How are you?"}]}]
    assert said(echo.call(chat(messages=parts))) == said(echo.call(chat()))
    with pytest.raises(openai.BadRequestError):
        echo.call(chat(messages=[]))


def test_3_media(echo):
    picture, sound = part("image", "image/png", clips.png()), part("audio", "audio/wav", clips.wav())
    assert "audio of 0.5 s, image of 0.0 s" in said(echo.call(chat(messages=[{"role": "user", "content": [sound, picture]}])))
    earlier = [{"role": "user", "content": [picture]}, {"role": "assistant", "content": "A wall."}, *USER]
    assert "image of 0.0 s" in said(echo.call(chat(messages=earlier)))
    wrong = part("video", "video/mp4", clips.wav())
    assert echo.call(chat(messages=[{"role": "user", "content": [wrong]}])).emollm["warnings"][0].startswith("type_mismatch")
    broken = {"type": "image_url", "image_url": {"url": "data:image/png;base64,*"}}
    with pytest.raises(openai.BadRequestError) as caught:
        echo.call(chat(messages=[{"role": "user", "content": [broken]}]))
    assert caught.value.code == "invalid_base64" and caught.value.param == "messages[0].content[0].image_url.url"


def test_4_streams(echo, system):
    for client, model, text in ((echo, MODEL, "naïve 👩‍👩‍👧 日本語?"), (system, TOY, "naïve 👩‍👩‍👧?")):
        messages = [{"role": "user", "content": text}]
        options = {"model": model, "messages": messages, "max_tokens": 24, "temperature": 0}
        whole = client.call(chat(**options))
        chunks = client.call(chat(**options, stream=True, stream_options={"include_usage": True}))
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == said(whole)
        assert len([c for c in chunks if c.choices and c.choices[0].finish_reason]) == 1
        assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
        assert all(c.usage is None for c in client.call(chat(**options, stream=True)))


def test_5_where_it_ends(echo):
    for limit in ("max_tokens", "max_completion_tokens"):
        answer = echo.call(chat(**{limit: 2}))
        assert (said(answer), answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("Turn 1.", "length", 2)
    answer = echo.call(chat(stop=["x", "y", "z", ": none. Y"]))
    assert (said(answer), answer.choices[0].finish_reason) == ("Turn 1. Clips", "stop")
    assert said(echo.call(chat(stop="Clips"))) == "Turn 1. "


def test_6_seeds(system):
    drawn = [said(system.call(chat(model=TOY, seed=seed, temperature=1.5, max_tokens=12))) for seed in (5, 5, 6)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert said(system.call(chat(model=TOY, max_tokens=12))) == said(system.call(chat(model=TOY, max_tokens=12, temperature=0)))


class Yes(pydantic.BaseModel):
    yes: bool


def test_7_choices_logprobs_and_forms(system):
    answer = system.call(chat(model=TOY, n=2, logprobs=True, top_logprobs=2, max_tokens=5, temperature=1.0, seed=1))
    assert [len(c.logprobs.content[0].top_logprobs) for c in answer.choices] == [2, 2]
    assert isinstance(answer.choices[0].logprobs.content[0].bytes, list)
    parsed = system.call(lambda c: c.chat.completions.parse(model=TOY, messages=USER, response_format=Yes, max_tokens=40))
    assert isinstance(parsed.choices[0].message.parsed, Yes)
    cut = system.call(chat(model=TOY, response_format={"type": "json_object"}, max_tokens=2))
    assert cut.choices[0].finish_reason == "length" and said(cut).startswith("{")
    with pytest.raises(openai.BadRequestError) as caught:
        system.call(chat(model=TOY, tools=[{"type": "function", "function": {"name": "f"}}]))
    assert caught.value.param == "tools"


def test_8_usage_counts_media(echo):
    sound = [{"role": "user", "content": [part("audio", "audio/wav", clips.wav()), {"type": "text", "text": "How are you?"}]}]
    plain, heard = echo.call(chat()).usage, echo.call(chat(messages=sound)).usage
    assert heard.prompt_tokens > plain.prompt_tokens and heard.total_tokens == heard.prompt_tokens + heard.completion_tokens


def test_9_errors_have_their_class(kind, url, one_at_a_time):
    cases = [
        (url, {}, chat(max_tokens=0), openai.BadRequestError, 400),
        (one_at_a_time, {"api_key": "wrong"}, chat(), openai.AuthenticationError, 401),
        (url, {}, chat(model="gpt-9"), openai.NotFoundError, 404),
        (url, {}, lambda c: c.embeddings.create(model=MODEL, input="a"), openai.NotFoundError, 404),
        (url, {}, chat(messages=[{"role": "user", "content": "x" * 300_000}]), openai.APIStatusError, 413),
    ]
    for address, options, ask, wanted, status in cases:
        client = kind(address, **options)
        with pytest.raises(wanted) as caught:
            client.call(ask)
        error = caught.value
        assert (error.status_code, bool(error.code), bool(error.type)) == (status, True, True) and error.request_id.startswith("req_")
        client.close()


def test_10_a_place_is_freed_and_429_says_when(kind, one_at_a_time):
    """The place may take a moment to be free; that it is, and not how soon, is asked here."""
    client = kind(one_at_a_time, api_key="k")
    leave = client.begin(chat(messages=[{"role": "user", "content": "word " * 3000}], max_tokens=4096, stream=True))
    with pytest.raises(openai.RateLimitError) as caught:
        client.call(chat())
    assert caught.value.code == "server_busy" and int(caught.value.response.headers["retry-after"]) > 0
    leave()
    patient = kind(one_at_a_time, api_key="k", max_retries=30)  # what the client does by itself with the hint
    assert said(patient.call(chat(max_tokens=1)))
    with pytest.raises(openai.APITimeoutError):
        client.call(
            lambda c: c.with_options(timeout=0.5).chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "w " * 3000}], max_tokens=4096
            )
        )
    assert said(patient.call(chat(max_tokens=1)))
    client.close()
    patient.close()


def test_11_transcriptions(echo):
    answer = echo.call(lambda c: c.audio.transcriptions.create(model="whisper-1", file=("a.wav", clips.wav(hz=0.0))))
    assert answer.text == ""
    full = echo.call(lambda c: c.audio.transcriptions.create(model=MODEL, file=("a.wav", clips.wav()), response_format="verbose_json"))
    assert full.segments == [] and full.duration == 0.5


def test_12_unknown_fields_are_ignored_and_named(echo):
    raw = echo.call(
        lambda c: c.chat.completions.with_raw_response.create(model=MODEL, messages=USER, extra_body={"top_k": 5, "chat_id": "x"})
    )
    assert raw.headers["x-emollm-ignored"] == "chat_id, top_k"


# Probes


def post(url, body, path="/chat/completions"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{url}{path}", content=content, headers={"content-type": "application/json"}, timeout=60)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": MODEL}, 400, "messages"),
        (b"{not json", 400, None),
        ({"model": "gpt-9", "messages": USER}, 404, "model"),
        ({"model": MODEL, "messages": USER, "n": 9}, 400, "n"),
        ({"model": MODEL, "messages": USER, "logprobs": True}, 400, None),
        ({"model": MODEL, "messages": USER, "response_format": {"type": "json_schema"}}, 400, "response_format.json_schema"),
        (
            {
                "model": MODEL,
                "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}],
            },
            400,
            None,
        ),
    ],
)
def test_nothing_is_silently_left_out(url, body, status, param):
    response = post(url, body)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (status, param) and set(error) == {"message", "type", "param", "code"}


def test_a_seed_does_not_touch_the_global_one(toy_url):
    import torch

    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    post(toy_url, {"model": TOY, "messages": USER, "seed": 99, "temperature": 1, "max_tokens": 3})
    assert torch.rand(1) == wanted


def test_a_request_as_open_webui_sends_it(url):
    body = {
        "model": MODEL,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, part("image", "image/png", clips.png())]},
        ],
        "options": {}, "metadata": {"user_id": "a"}, "features": {"web_search": False}, "chat_id": "a", "id": "b", "session_id": "c",
        "background_tasks": {"title_generation": True}, "variables": {}, "tool_ids": None, "tools": None, "tool_choice": None,
    }  # fmt: skip
    with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=60) as response:
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert response.status_code == 200 and lines[-1] == "data: [DONE]" and json.loads(lines[-2][6:])["usage"]["total_tokens"] > 0


def test_fifty_clients_at_a_queue_of_eight():
    with served(EchoBackend(delay_s=0.01), limits=Limits(parallel=2, queue=8)) as url, client_of(url) as client:
        seen = []

        def one(i):
            try:
                chunks = client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": f"number {i} of fifty"}], stream=True
                )
                seen.append("".join(c.choices[0].delta.content or "" for c in chunks).endswith(f"number {i} of fifty"))
            except openai.RateLimitError as error:
                seen.append(int(error.response.headers["retry-after"]) > 0 or "no hint")

        threads = [threading.Thread(target=one, args=(i,)) for i in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        text = httpx.get(url.removesuffix("/v1") + "/metrics").text
    assert seen == [True] * 50
    counted = {
        line.split('status="')[1][:3]: int(float(line.split()[-1]))
        for line in text.splitlines()
        if line.startswith('emollm_requests_total{route="/v1/chat')
    }
    assert set(counted) <= {"200", "429"} and sum(counted.values()) == 50 and counted["200"] >= 10


def test_metrics_ready_and_keys(one_at_a_time):
    root = one_at_a_time.removesuffix("/v1")
    assert httpx.get(f"{root}/ready").json() == {"status": "ready"} and httpx.get(f"{root}/health").status_code == 200
    assert httpx.get(f"{root}/metrics").status_code == 401
    response = httpx.get(f"{root}/metrics", headers={"authorization": "Bearer k"})
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    assert "emollm_ready 1" in lines and "# TYPE emollm_requests_total counter" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
