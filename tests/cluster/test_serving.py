"""The real server before real replicas, asked by the official client: overload, lost clients, batches, killed replicas, forgetting."""

import base64
import hashlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import clips
import httpx
import openai
import pytest
from fragile import until
from noting import NotingHalves
from servers import MODEL, client_of, served

from emollm.cluster.serve import Plan, deployed
from emollm.serving.limits import Limits

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here")]
PLAN = Plan(writers=2, encoders=1, parallel=2, queue=2, batch=16, batch_wait_s=0.5)
WIDE = Limits(parallel=40, queue=40)  # the door takes more than the replicas do, so that it is Ray that refuses
LONG = "word " * 3000  # at DELAY_S a word, more than a test ever waits for
DELAY_S = 0.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("marks")


@pytest.fixture(scope="module")
def backend(folder, ray_here):
    with deployed(NotingHalves(folder, DELAY_S), PLAN) as found:
        yield found


@pytest.fixture(scope="module")
def url(backend):
    with served(backend, limits=WIDE) as address:
        yield address


@pytest.fixture
def client(url):
    with client_of(url) as client:
        yield client.with_options(timeout=240)


def ask(client, text, **options):
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}], **options)


def sound(seconds, hz=220.0):
    data = base64.b64encode(clips.wav(seconds, hz=hz)).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def running(url):
    told = httpx.get(url.removesuffix("/v1") + "/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in told if line.startswith("emollm_requests_running "))


def test_words_and_clips_plain_and_streamed(client):
    content = [sound(0.5), {"type": "text", "text": "how do they feel"}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert "audio of 0.5 s" in answer.choices[0].message.content and answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens > 0 and answer.model_extra["emollm"]["evidence"]
    chunks = list(ask(client, "one two three", stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks).endswith("one two three") and len(chunks) > 4
    with pytest.raises(openai.BadRequestError) as refused:
        broken = {"type": "file", "file": {"file_data": "data:video/mp4;base64," + base64.b64encode(b"<html>").decode()}}
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [broken]}])
    assert refused.value.code == "media_unreadable"


def test_overload_is_told_as_a_rate_limit(client):
    def one(number):
        try:
            return ask(client, f"question {number} " + "and " * 30).choices[0].finish_reason
        except openai.RateLimitError as error:
            assert error.code == "server_busy" and error.type == "rate_limit_error"
            assert "replicas" in error.message and int(error.response.headers["retry-after"]) > 0
            return "refused"

    with ThreadPoolExecutor(24) as pool:
        ends = list(pool.map(one, range(24)))
    assert set(ends) == {"stop", "refused"}  # six fit; Ray itself answers the others, and would say 503 in plain text


def test_a_lost_client_frees_its_place_here_and_in_the_replica(client, url, backend):
    streams = [ask(client, f"{number} {LONG}", stream=True) for number in range(4)]
    for stream in streams:
        next(iter(stream))
    until(lambda: sum(backend.busy()) == 4 and running(url) == 4, "four replies at once")
    for stream in streams:
        stream.response.close()
    until(lambda: sum(backend.busy()) == 0 and running(url) == 0, "free places")
    assert ask(client, "still here").choices[0].message.content.endswith("still here")


def test_a_client_that_leaves_while_its_clip_waits_for_the_encoders(client, url, folder, backend):
    (folder / "hold").touch()
    try:
        with ThreadPoolExecutor(1) as pool:
            content = [sound(0.4, hz=700), {"type": "text", "text": "and now?"}]
            with pytest.raises(openai.APITimeoutError):
                pool.submit(
                    client.with_options(timeout=2).chat.completions.create, model=MODEL, messages=[{"role": "user", "content": content}]
                ).result()
        until(lambda: running(url) == 0, "a free place")  # although the encoders still hold the clip
    finally:
        (folder / "hold").unlink()


def test_sixteen_calls_are_measured_in_batches(client, url, folder, backend):
    before = len(backend.batches())
    (folder / "hold").touch()
    lengths = [0.3 + number / 10 for number in range(12)] + [0.3] * 4  # four of them are one clip once more

    def one(seconds):
        found = client.post(
            "/emollm/analyze",
            cast_to=httpx.Response,
            body={"model": MODEL, "messages": [{"role": "user", "content": [sound(seconds, 500)]}]},
        )
        return found.json()["duration_s"]

    with ThreadPoolExecutor(16) as pool:
        durations = [pool.submit(one, seconds) for seconds in lengths]
        try:
            until(lambda: running(url) == 16, "sixteen calls")
        finally:
            (folder / "hold").unlink()  # else a failure would wait for the encoders
        assert [round(found.result(), 1) for found in durations] == [round(seconds, 1) for seconds in lengths]  # each its own
    batches = backend.batches()[before:]
    assert sum(calls for calls, _ in batches) == 16 and len(batches) < 16
    assert max(calls for calls, _ in batches) > 1


def test_every_replica_forgets_before_the_answer_although_all_places_are_taken(client, folder, backend):
    content = clips.wav(0.6, hz=900)
    file = client.files.create(file=("a.wav", content), purpose="user_data")
    part = {"type": "file", "file": {"file_id": file.id}}
    client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [part, {"type": "text", "text": "hm"}]}])
    streams = [ask(client, f"{number} {LONG}", stream=True) for number in range(4)]
    until(lambda: backend.busy() == [2, 2], "full replicas")
    client.files.delete(file.id)
    marks = folder.glob(f"forgot-{hashlib.sha256(content).hexdigest()}-*")
    assert len({path.name.rsplit("-", 1)[1] for path in marks}) == 2 and backend.busy() == [2, 2]
    for stream in streams:
        stream.response.close()
    until(lambda: sum(backend.busy()) == 0, "free places")


def test_killed_writers_are_told_and_replaced(client, folder):  # last: it takes the replicas of the others
    stream = ask(client, LONG, stream=True)
    next(iter(stream))
    for mark in folder.glob("writer-*"):
        os.kill(int(mark.name.rsplit("-", 1)[1]), signal.SIGKILL)
    with pytest.raises(openai.APIError) as lost:
        list(stream)
    assert lost.value.code == "replica_lost"

    def answered():
        try:
            return ask(client, "back again").choices[0].message.content.endswith("back again")
        except openai.InternalServerError as error:
            assert error.status_code == 503
            return False

    until(answered, "a new writer")
