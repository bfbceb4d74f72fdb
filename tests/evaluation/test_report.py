"""The pages hold what the results say, load nothing, and let no text of an item become markup."""

import json
import re
from html.parser import HTMLParser

import pytest
from eval_command import evaluated

from emollm.errors import DataError
from emollm.evaluation.cards import Scored
from emollm.evaluation.predictions import run
from emollm.evaluation.report import bins, worst, write_report

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


def test_a_folder_without_results_is_told(tmp_path):
    with pytest.raises(DataError, match=r"no results\.json"):
        write_report(tmp_path)
