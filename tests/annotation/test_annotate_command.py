"""`emollm data annotate` as a user types it, and the review page in a browser."""

import json
import shutil
import subprocess
import sys

import pytest
from paths import HAVE_WEIGHTS, SAMPLES
from servers import served
from stubs import Counting

from emollm.annotation.records import read_records


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "emollm", "data", "annotate", *arguments], capture_output=True, text=True, check=False)


FOLDER = (str(SAMPLES), "--split", "train", "--licence", "CC0-1.0", "--fps", "4")


@pytest.mark.weights
@pytest.mark.skipif(not HAVE_WEIGHTS, reason="needs the mini weights")
def test_the_sample_clips_end_to_end(tmp_path):
    out = tmp_path / "out.jsonl"
    done = run(*FOLDER, "--out", str(out))
    assert done.returncode == 0, done.stderr
    joy, sad = (json.loads(line) for line in out.read_text("utf-8").splitlines())
    assert "point to happiness" in joy["descriptions"]["multimodal"]["text"] and joy["peak_frame"] > 60  # it smiles from 2.8 s on
    assert "words point to sadness" in sad["descriptions"]["multimodal"]["text"]
    assert "units - transcript" in done.stdout and (tmp_path / "out.review.html").is_file()
    again = run(*FOLDER, "--out", str(out))
    assert "measured 0 clip(s)" in again.stdout and "2 done before" in again.stdout

    of = (tmp_path / "out.review.html").read_text("utf-8").split('"of": "')[1].split('"')[0]
    decision = {"sample": joy["id"], "decision": "correct", "of": of, "text": "They hear good news and beam."}
    (tmp_path / "d.jsonl").write_text(json.dumps(decision) + "\n")
    applied = run(*FOLDER, "--out", str(out), "--apply", str(tmp_path / "d.jsonl"))
    assert applied.returncode == 0 and "1 decided by people" in applied.stdout
    run(*FOLDER, "--out", str(out))  # a later run keeps what people wrote
    first = json.loads(out.read_text("utf-8").splitlines()[0])
    assert first["descriptions"]["multimodal"] == {"text": "They hear good news and beam.", "origin": "human"}


@pytest.mark.weights
@pytest.mark.skipif(not HAVE_WEIGHTS, reason="needs the mini weights")
def test_estimate_asks_nothing_and_an_endpoint_is_asked_once(tmp_path):
    backend = Counting(answer="The face looks happy.\nEmotion: happy")
    with served(backend) as url:
        asked = (*FOLDER, "--out", str(tmp_path / "out.jsonl"), "--endpoint", url, "--price-in", "1", "--price-out", "2")
        told = run(*asked, "--estimate")
        assert told.returncode == 0 and "questions to the model: 8" in told.stdout and "cost: at most" in told.stdout
        assert not backend.questions and not (tmp_path / "out.jsonl").exists()
        done = run(*asked)
        assert done.returncode == 0 and len(backend.questions) == 8, done.stderr
        run(*asked)
        assert len(backend.questions) == 8
    records = list(read_records(tmp_path / "out.records.jsonl"))
    assert len(records) == 12 and sum(r.cost or 0 for r in records) == pytest.approx(8 * 120e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to annotate"), ((str(SAMPLES),), "--split and their terms"),
        ((*FOLDER, "--guided"), "--guided needs an emotion label"),
        ((*FOLDER, "--by-model", "units", "--endpoint", "http://x/v1"), "unknown agent for a model 'units'"),
        ((*FOLDER, "--by-model", "audio"), "needs --endpoint"), ((*FOLDER, "--budget", "1"), "needs prices"),
        ((*FOLDER, "--apply", "nowhere.jsonl"), "cannot read nowhere.jsonl"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_told_in_one_line(tmp_path, arguments, said):
    done = run(*arguments, "--out", str(tmp_path / "out.jsonl"))
    assert done.returncode == 2 and said in done.stderr.replace("\n", " ") and "Traceback" not in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_guided_names_the_test_sample(tmp_path):
    row = {
        "schema_version": 1, "id": "meld/test/1", "corpus": "meld", "split": "test", "media": {"video": "sample_joy.mp4"},
        "tasks": [{"type": "emotion", "label": "joy", "label_set": ["joy", "anger"]}], "level": "perception", "licence": "CC0",
    }  # fmt: skip
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + "\n")
    done = run(str(tmp_path / "s.jsonl"), "--media", str(SAMPLES), "--out", str(tmp_path / "o.jsonl"), "--guided")
    assert done.returncode == 2 and "meld/test/1" in done.stderr and not (tmp_path / "o.jsonl").exists()


def _browser():
    pytest.importorskip("selenium")
    from selenium import webdriver

    if not shutil.which("chromedriver") or not shutil.which("chromium"):
        pytest.skip("needs chromium and its driver")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options)


@pytest.mark.slow
def test_the_review_page_in_a_browser(tmp_path):
    from selenium.webdriver.common.by import By
    from test_annotation_chain import chain, samples

    from emollm.annotation.decisions import read_decisions
    from emollm.annotation.output import assemble
    from emollm.annotation.review import page

    items = samples(tmp_path, 3)
    done = chain(tmp_path)
    done.run(items)
    path = tmp_path / "review.html"
    path.write_text(page(assemble(items, done, {}).samples, {i.id: done.found(i) for i in items}, "o.jsonl"), "utf-8")
    browser = _browser()
    try:
        browser.get(path.as_uri())
        boxes = browser.find_elements(By.TAG_NAME, "article")
        assert len(boxes) == 3
        press = lambda box, name: next(b for b in box.find_elements(By.TAG_NAME, "button") if b.text == name).click()  # noqa: E731
        press(boxes[0], "Accept")
        boxes[1].find_element(By.TAG_NAME, "textarea").clear()
        boxes[1].find_element(By.TAG_NAME, "textarea").send_keys("They beam.")
        press(boxes[1], "Correct")
        press(boxes[2], "Correct")  # nothing was changed, so nothing is decided
        assert browser.find_element(By.ID, "count").text == "2 of 3 decided"
        saved = browser.execute_script("return JSON.stringify(Object.values(decided))")
        assert not [row for row in browser.get_log("browser") if row["level"] == "SEVERE"]
    finally:
        browser.quit()
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in json.loads(saved)))
    written = assemble(items, done, read_decisions(tmp_path / "d.jsonl"))
    assert written.reviewed == 2 and written.samples[1].descriptions.multimodal.text == "They beam."
