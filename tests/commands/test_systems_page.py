"""docs/systems.md is generated; it must not lie behind the recipes."""

import pytest

from emollm import catalog, weights
from emollm.commands.systems import millions, page
from emollm.recipe import load_recipe


@pytest.mark.skipif(not weights.ready("smollm2-135m-instruct"), reason="sizes at mini need `emollm weights pull mini`")
def test_the_page_of_systems_is_up_to_date():
    now = page([load_recipe(name) for name in catalog.names("adapters")])
    assert (catalog.folder("adapters").parent / "docs" / "systems.md").read_text("utf-8") == now, (
        "run: emollm systems --write docs/systems.md"
    )


def test_numbers_are_written_in_millions():
    assert [millions(n) for n in (0, 1_234_567, 6_738_000_000)] == ["0.00 M", "1.23 M", "6,738 M"]
