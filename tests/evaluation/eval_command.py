"""`emollm eval` as a user runs it."""

import pytest

from emollm.cli import main


def evaluated(capsys, *arguments):
    """(exit code, what was printed, what was complained about)."""
    with pytest.raises(SystemExit) as done:
        main(["eval", *map(str, arguments)])
    told = capsys.readouterr()
    return done.value.code, told.out, told.err
