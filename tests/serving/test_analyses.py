"""Measurements as jobs: progress, results as JSON and CSV, cancelling, and that nobody sees another's."""

import base64
import csv
import io
import threading

import clips
import httpx
import pytest
from servers import served

from emollm.chat.echo import EchoBackend
from emollm.serving.limits import Limits
from emollm.values import Segment, Transcript

WAIT_S = 60


def url_of(content, mime="video/mp4"):
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


class Slow(EchoBackend):
    """Measures when it is told to, and hears a formula."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.under_way = threading.Event()

    def analyze(self, path, progress=None):
        from dataclasses import replace

        if progress is not None:
            progress(0.5, "finding faces")
            self.under_way.set()
            assert self.go.wait(WAIT_S)
            progress(0.6, "finding faces")
        found = super().analyze(path)
        return replace(found, words=Transcript("en", (Segment(0.0, 0.4, "=cmd()"),)))


class Client:
    def __init__(self, url, key):
        self.http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=WAIT_S)

    def begin(self, *contents, **more):
        return self.http.post("/analyses", json={"clips": [url_of(c) if isinstance(c, bytes) else c for c in contents], **more})

    def told(self, key):
        return self.http.get(f"/analyses/{key}").json()

    def ended(self, key):
        """The job once it has ended; the jobs here take no time."""
        done = threading.Event()
        for _ in range(WAIT_S * 50):
            told = self.told(key)
            if told["status"] not in ("queued", "in_progress"):
                return told
            done.wait(0.02)
        raise AssertionError(told)


@pytest.fixture
def backend():
    return Slow()


@pytest.fixture
def address(backend):
    with served(backend, api_key=["anna", "ben"], limits=Limits(jobs=2, job_clips=3)) as url:
        yield url
        backend.go.set()


@pytest.fixture
def anna(address):
    return Client(address, "anna")


def test_a_job_from_beginning_to_end(anna, backend):
    begun = anna.begin(clips.video(), b"junk", measurements=True)
    told = begun.json()
    assert begun.status_code == 202 and told["object"] == "emollm.analysis_job" and told["results"] is None
    assert backend.under_way.wait(WAIT_S)
    told = anna.told(told["id"])
    assert told["status"] == "in_progress"
    assert told["progress"] == {"total": 2, "done": 0, "share": 0.25, "stage": "finding faces"}
    assert anna.http.get(f"/analyses/{told['id']}/csv").json()["error"]["code"] == "job_not_ended"
    backend.go.set()
    told = anna.ended(told["id"])
    good, bad = told["results"]
    assert (told["status"], told["progress"]["done"], told["progress"]["share"]) == ("completed", 2, 1.0)
    assert good["status"] == "completed" and good["analysis"]["kind"] == "video" and good["analysis"]["measurements"]["digest"]
    assert bad["status"] == "failed" and bad["error"]["code"] == "media_unreadable" and bad["analysis"] is None
    assert [row["id"] for row in anna.http.get("/analyses").json()["data"]] == [told["id"]]


def test_tables(anna, backend):
    backend.go.set()
    key = anna.ended(anna.begin(clips.video()).json()["id"])["id"]
    response = anna.http.get(f"/analyses/{key}/csv")
    assert response.headers["content-type"].startswith("text/csv") and "stretches.csv" in response.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(response.text))
    assert (row["clip"], row["modality"], row["text"]) == ("0", "words", "'=cmd()")  # a spreadsheet must not run it
    faces = anna.http.get(f"/analyses/{key}/csv", params={"table": "faces"}).text
    assert faces.startswith("clip,frame,face_id,timestamp") and faces.count("\n") == 1
    assert anna.http.get(f"/analyses/{key}/csv", params={"table": "wizards"}).status_code == 400


def test_the_same_clips_again_are_the_same_job(anna, backend, address):
    backend.go.set()
    first, again = anna.begin(clips.video()), anna.begin(clips.video())
    assert (first.status_code, again.status_code) == (202, 200) and first.json()["id"] == again.json()["id"]
    assert Client(address, "ben").begin(clips.video()).json()["id"] != first.json()["id"]
    anna.ended(first.json()["id"])
    assert backend.decodes <= 2  # one for each client


def test_another_key_sees_nothing(anna, backend, address):
    key = anna.begin(clips.video()).json()["id"]
    ben = Client(address, "ben")
    assert ben.http.get("/analyses").json()["data"] == []
    for response in (
        ben.http.get(f"/analyses/{key}"), ben.http.get(f"/analyses/{key}/csv"), ben.http.delete(f"/analyses/{key}"),
        ben.http.post(f"/analyses/{key}/cancel"),
    ):  # fmt: skip
        assert response.status_code == 404 and response.json()["error"]["code"] == "job_not_found"
    assert anna.told(key)["status"] in ("queued", "in_progress")


def test_cancelling_what_runs_and_what_waits(anna, backend):
    running, waiting = anna.begin(clips.video(), clips.wav()).json()["id"], anna.begin(clips.png()).json()["id"]
    assert backend.under_way.wait(WAIT_S)
    told = anna.http.post(f"/analyses/{waiting}/cancel").json()
    assert told["status"] == "cancelled" and [row["status"] for row in told["results"]] == ["cancelled"]
    anna.http.post(f"/analyses/{running}/cancel")
    backend.go.set()
    told = anna.ended(running)
    assert told["status"] == "cancelled" and {row["status"] for row in told["results"]} == {"cancelled"} and backend.decodes == 0
    again = anna.begin(clips.png())  # a cancelled job can be asked for again
    assert again.status_code == 202 and anna.ended(again.json()["id"])["status"] == "completed"


def test_deleting_and_too_many(anna, backend):
    keys = [anna.begin(content).json()["id"] for content in (clips.video(), clips.wav())]
    full = anna.begin(clips.png())
    assert full.status_code == 429 and int(full.headers["retry-after"]) > 0
    assert anna.http.delete(f"/analyses/{keys[1]}").json() == {"id": keys[1], "object": "emollm.analysis_job", "deleted": True}
    assert anna.http.get(f"/analyses/{keys[1]}").status_code == 404
    assert anna.begin(clips.png()).status_code == 202


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "clips"),
        ({"clips": []}, "invalid_value", "clips"),
        ({"clips": ["data:video/mp4;base64,AAAA"] * 4}, "too_many_clips", "clips"),
        ({"clips": ["/etc/passwd"]}, "path_not_allowed", "clips[0]"),
        ({"clips": ["http://127.0.0.1/a.mp4"]}, "remote_media_disabled", "clips[0]"),
        ({"clips": ["data:video/mp4;base64,A*"]}, "invalid_base64", "clips[0]"),
        ({"clips": [f"file-{'0' * 32}"]}, "file_not_found", "file_id"),
        ({"clips": ["data:video/mp4;base64,AAAA"], "model": "gpt-9"}, "model_not_found", "model"),
    ],
)
def test_bad_requests(anna, body, code, param):
    response = anna.http.post("/analyses", json=body)
    assert response.status_code in (400, 404) and (response.json()["error"]["code"], response.json()["error"]["param"]) == (code, param)
    assert anna.http.get("/analyses").json()["data"] == []


def test_nothing_stays_of_a_clip(anna, backend, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    backend.go.set()
    with served(backend) as url:
        client = Client(url, "any")
        key = client.ended(client.begin(clips.video()).json()["id"])["id"]
        kept = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
        assert kept == ["faces.json", "results.json", "stretches.json"]
        client.http.delete(f"/analyses/{key}")
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
