"""What is ours beside OpenAI's API: scores and measurements."""

import base64

import clips
import httpx
import pytest
from servers import MODEL


def post(url, path, body):
    response = httpx.post(f"{url}/emollm/{path}", json={"model": MODEL, **body})
    return response.status_code, response.json()


def clip_part(content, mime="video/mp4"):
    return {"type": "video_url", "video_url": {"url": f"data:{mime};base64,{base64.b64encode(content).decode()}"}}


def test_scores(url):
    status, found = post(url, "score", {"messages": [{"role": "user", "content": "happy or sad"}], "labels": ["happy", "angry"]})
    assert status == 200 and found["object"] == "emollm.scores"
    assert sum(found["probabilities"].values()) == pytest.approx(1) and found["probabilities"]["happy"] > 0.5


@pytest.mark.parametrize("labels", [[], ["a", "a"], [""], list("abcdef"), "happy", None])
def test_bad_labels(url, labels):
    status, found = post(url, "score", {"messages": [{"role": "user", "content": "x"}], "labels": labels})
    assert status == 400 and set(found["error"]) == {"message", "type", "param", "code"}


def test_analyze(url):
    status, found = post(url, "analyze", {"messages": [{"role": "user", "content": [clip_part(clips.video())]}]})
    assert status == 200 and found["kind"] == "video" and len(found["digest"]) == 64 and found["duration_s"] == pytest.approx(0.5, abs=0.1)
    assert set(found["evidence"]) == {"face", "voice", "words"} and found["evidence"]["words"]["present"] is False
    assert (found["timeline"], found["transcript"], found["warnings"], found["measurements"]) == ([], None, [], None)


def test_analyze_wants_one_clip(url):
    for parts in ([], [clip_part(clips.png()), clip_part(clips.wav())]):
        status, found = post(url, "analyze", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *parts]}]})
        assert (status, found["error"]["param"]) == (400, "messages")


def test_the_document_has_typed_bodies(url):
    paths = httpx.get(url.removesuffix("/v1") + "/openapi.json").json()["paths"]
    assert set(paths) == {
        "/health",
        "/ready",
        "/metrics",
        "/v1/models",
        "/v1/models/{model_id}",
        "/v1/chat/completions",
        "/v1/emollm/score",
        "/v1/emollm/analyze",
        "/v1/files",
        "/v1/files/{file_id}",
        "/v1/audio/transcriptions",
        "/v1/analyses",
        "/v1/analyses/{job_id}",
        "/v1/analyses/{job_id}/csv",
        "/v1/analyses/{job_id}/cancel",
    }
    body = paths["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/ChatRequest"}
