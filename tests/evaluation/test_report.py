"""The pages hold what the results say, load nothing, and let no text of an item become markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tiny_data
from eval_command import evaluated

from emollm.errors import DataError
from emollm.evaluation.cards import Scored
from emollm.evaluation.predictions import run
from emollm.evaluation.report import bins, worst, write_report
from emollm.evaluation.stills import may_be_shown

NASTY = "<script>alert(1)</script> ![x](http://example.org/a.png) | happy"


@pytest.fixture
def folder(tmp_path):
    what = Scored(name="own", version=1, about="a card", labels=("happy", "sad"), headline="accuracy")
    truth = ["happy", "happy", "sad", "sad"]
    known = [{"id": f"i{k}", "label": t, "group": {"language": "en" if k < 2 else "de"}} for k, t in enumerate(truth)]
    said = [
        {"id": "i0", "prediction": "happy", "scores": {"happy": 0.9, "sad": 0.1}},
        {"id": "i1", "prediction": NASTY, "scores": {"happy": 0.7, "sad": 0.3}},
        {"id": "i2", "prediction": NASTY, "scores": {"happy": 0.95, "sad": 0.05}},
    ]
    for name, rows in (("k.jsonl", known), ("mine.jsonl", said)):
        (tmp_path / name).write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    run(what, tmp_path / "mine.jsonl", tmp_path / "out" / "own", references=tmp_path / "k.jsonl", rounds=50)
    # as a model's run writes it, with fewer fields
    other = tmp_path / "out" / "other"
    other.mkdir()
    results = {
        "card": "older",
        "system": "s",
        "n": 1,
        "headline": "uar",
        "metrics": {"uar": 1.0, "interval": [1.0, 1.0]},
        "floors": {"majority": {"uar": 0.5}},
        "confusion": {"sad": {"sad": 1}},
    }
    (other / "results.json").write_text(json.dumps(results), "utf-8")
    (other / "samples.jsonl").write_text(json.dumps({"id": "a", "label": "sad", "answer": "sad", "scores": {"sad": 0.55}}) + "\n", "utf-8")
    return tmp_path / "out"


def test_both_pages_are_written(folder, capsys):
    assert evaluated(capsys, "--report", folder)[0] == 0
    text = (folder / "report.md").read_text("utf-8")
    for part in (
        "## own",
        "## older",
        "### Confusion",
        "### Reliability",
        "### By language",
        "### Worst items",
        "**Warning.** 1 items have no answer",
    ):
        assert part in text
    assert "| accuracy | 0.500 |" in text and "| own | mine | 4 | accuracy | 0.500 |" in text


def test_the_html_page_loads_nothing_and_keeps_texts_as_texts(folder):
    page = write_report(folder)[1].read_text("utf-8")
    tags = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            assert not {"src", "href", "onload", "onclick"} & {k for k, _ in attrs}

    Reader().feed(page)
    assert "script" not in tags and "img" not in tags and "link" not in tags
    assert tags.count("svg") == 4 and tags.count("circle") == 4  # two matrices, two diagrams: steps .6-.7, .8-.9 and .9-1; .5-.6
    assert "url(" not in page and "@import" not in page and "&lt;script&gt;" in page
    for tag in ("table", "svg", "tr", "td"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == len(re.findall(rf"</{tag}>", page))


def test_markdown_keeps_texts_as_texts(folder):
    text = write_report(folder)[0].read_text("utf-8")
    assert "<script>" not in text and "![x]" not in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|") and "&#124;" in line]
    assert widths and set(widths) == {5}  # four columns, the stroke of the text is none


def test_reliability_by_hand():
    rows = [{"truth": "a", "answer": "a", "scores": {"a": p}} for p in (0.1, 0.05, 1.0)] + [
        {"truth": "b", "answer": "a", "scores": {"a": 1.0}}
    ]
    # 0.1 belongs to the first step, as in the calibration error
    assert bins(rows) == [(0.0, 2, pytest.approx(0.075), 1.0), (0.9, 2, 1.0, 0.5)]


def test_the_surest_mistake_is_the_worst():
    rows = [{"id": "x", "right": -0.2}, {"id": "y", "right": -0.9}, {"id": "m", "right": -1.0, "missing": True}, {"id": "z", "right": 1.0}]
    assert [r["id"] for r in worst(rows)] == ["y", "x", "m"]


def judged_faces(tmp_path, *, show):
    (tmp_path / "data").mkdir()
    data = tiny_data.build(tmp_path / "data")
    card = tmp_path / "own.toml"
    card.write_text(
        'name = "own-faces"\nversion = 1\nabout = "rendered faces"\ncorpus = "pics"\nmodality = "face"\nlabels = ["happy", "sad"]\n'
        f'headline = "accuracy"\nshow = {str(show).lower()}\ncredit = "drawn by us"\n',
        "utf-8",
    )
    said = tmp_path / "said.jsonl"
    rows = [{"id": f"pics:val:{k}", "prediction": "happy", "scores": {"happy": 0.8, "sad": 0.2}, "prompt": "Which?"} for k in range(12)]
    said.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return card, data, said


@pytest.mark.parametrize("show", [True, False])
def test_pictures_are_shown_only_where_the_card_allows_it_and_the_data_is_given(tmp_path, capsys, show):
    card, data, said = judged_faces(tmp_path, show=show)
    assert evaluated(capsys, card, "--predictions", said, "--data", data, "--out", tmp_path / "o")[0] == 0
    assert '"prompt": "Which?"' in (tmp_path / "o" / "samples.jsonl").read_text("utf-8")
    assert evaluated(capsys, "--report", tmp_path / "o")[0] == 0
    assert "<img" not in (tmp_path / "o" / "report.html").read_text("utf-8")
    assert evaluated(capsys, "--report", tmp_path / "o", "--data", data)[0] == 0
    page = (tmp_path / "o" / "report.html").read_text("utf-8")
    assert page.count("<img") == (6 if show else 0)  # the sad ones were called happy
    assert ("drawn by us" in page) == show and "seed 0" in page and "python 3." in page


def test_a_shipped_card_decides_over_a_file_of_results():
    assert not may_be_shown({"card": "open-ferplus", "card_file": {"show": True}})
    assert may_be_shown({"card": "synth-fec-captions"}) and may_be_shown({"card": "nobody-knows", "card_file": {"show": True}})


def test_a_browser_shows_the_page_and_asks_for_nothing_else(tmp_path, capsys):
    if not Path("/usr/bin/chromium").exists() or not Path("/usr/bin/chromedriver").exists():
        pytest.skip("needs chromium and its driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    card, data, said = judged_faces(tmp_path, show=True)
    evaluated(capsys, card, "--predictions", said, "--data", data, "--out", tmp_path / "o")
    pages = write_report(tmp_path / "o", data)
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        driver.set_page_load_timeout(120)
        driver.get(pages[1].as_uri())
        assert driver.execute_script("return [...document.images].map(i => i.naturalHeight)") == [96] * 6
        asked = driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        assert [name for name in asked if not name.startswith("data:")] == []
        assert driver.execute_script("return document.querySelectorAll('svg').length") == 2
    finally:
        driver.quit()


def test_a_folder_without_results_is_told(tmp_path):
    with pytest.raises(DataError, match=r"no results\.json"):
        write_report(tmp_path)
