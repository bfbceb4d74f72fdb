import pytest

from emollm import markdown


def test_a_table_has_a_line_for_its_head_and_one_for_each_row():
    assert markdown.table(("a", "b"), [(1, "x"), (2.5, "")]) == "| a | b |\n| --- | --- |\n| 1 | x |\n| 2.5 |  |"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 columns, the row 1"):
        markdown.table(("a", "b"), [(1,)])
