"""Published numbers stand beside our own, say where they come from, and the page of them is as fresh as the tables."""

import json

import pytest
from eval_command import evaluated

from emollm import catalog
from emollm.errors import DataError
from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.cards import Card, MeanCard, ReferenceCard, load_card
from emollm.evaluation.leaderboard import compared, differences, page
from emollm.evaluation.published import MISSING, load_published
from emollm.evaluation.report import write_report
from emollm.evaluation.tally import tally

TABLES = load_published()


def test_the_page_is_not_stale():
    home = catalog.folder("eval").parent / "docs" / "leaderboard.md"
    assert home.read_text("utf-8") == page(), "run: emollm eval --leaderboard docs/leaderboard.md"


def test_every_column_is_a_measure_that_its_card_really_gives():
    for table in TABLES:
        assert table.source and table.differs
        for column in (c for c in table.columns if c.card):
            card = load_card(column.card)
            if isinstance(card, MeanCard):
                assert column.measure == "mean"
                continue
            assert isinstance(card, ReferenceCard | Card)
            if column.measure == card.headline:
                continue
            label = card.labels[0] if card.labels else "happy"
            made = tally(card, [Reference("a", label, captions=("the brows rise",))], [Said("the brows rise", None, label)]).all()
            assert column.measure in made, (table.title, column)


def test_scores_are_shares_and_no_system_stands_twice_in_a_table():
    for table in TABLES:
        for row in table.rows.values():
            for value, column in zip(row, table.columns, strict=True):
                assert value == MISSING or not column.card or 0 < value / table.scale < 1
    assert [t.ours for t in TABLES].count(True) == 1 and TABLES[-1].ours


def test_a_mean_is_the_mean_of_its_columns():
    rows = next(t for t in TABLES if t.title == "MER-UniBench, main table").rows
    for name, row in rows.items():
        assert sum(row[:9]) / 9 == pytest.approx(row[9], abs=0.02), name


def test_a_result_stands_above_the_published_ones_and_says_what_differs(tmp_path):
    results = {
        "card": "fec-bench", "headline": "tem", "system": "mine", "n": 58, "missing": 2, "card_file": {"items": 800},
        "metrics": {"tem": 0.3, "autodq": 0.4, "interval": [0.2, 0.4]}, "floors": {},
    }  # fmt: skip
    assert differences(results) == ["58 items, the protocol has 800", "2 items without an answer, counted as wrong"]
    (title, head, body), (_, _, notes) = compared(results)
    assert title == "Published numbers" and body[0][0] == "this result: mine" and body[0][head.index("tem")] == "0.300"
    assert [row[0] for row in body[1:3]] == ["FaceTrack-MM", "Qwen2-VL"]  # by the headline, best first
    assert notes[0][2].startswith("58 items") and any("hosted language model" in row[2] for row in notes)
    assert compared({"card": "unheard-of", "headline": "tem"}) == []
    (tmp_path / "results.json").write_text(json.dumps(results), "utf-8")
    for path in write_report(tmp_path):
        text = path.read_text("utf-8")
        assert "Published numbers" in text and "FaceTrack-MM" in text and "Where they differ" in text


def test_the_command_writes_the_page(tmp_path, capsys):
    assert evaluated(capsys, "--leaderboard", tmp_path / "page.md")[0] == 0
    assert (tmp_path / "page.md").read_text("utf-8") == page()


def test_a_faulty_table_is_told(tmp_path):
    text = 'title = "t"\nsource = "s"\ndiffers = "d"\nscale = 1\n[[columns]]\nname = "a"\n[rows]\n"x" = [0.1, 0.2]\n'
    (tmp_path / "bad.toml").write_text(text, "utf-8")
    with pytest.raises(DataError, match="not one score a column"):
        load_published(tmp_path)
