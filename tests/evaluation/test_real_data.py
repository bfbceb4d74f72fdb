"""The shipped model on a few real faces and voices, where the data folder is at hand; elsewhere skipped."""

from pathlib import Path

import pytest
from paths import HAVE_WEIGHTS

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not (HAVE_WEIGHTS and (DATA / "index.jsonl").is_file()), reason="needs the mini weights and the data folder"
)


@pytest.fixture(scope="module")
def backend():
    from emollm.chat.local import LocalBackend

    return LocalBackend.from_recipe("emollm", scale="mini", threads=1)


@pytest.mark.parametrize(("card", "least"), [("open-london", 0.8), ("open-ferplus", 0.5)])
def test_faces_are_read_far_above_chance(backend, tmp_path, card, least):
    from emollm.evaluation.cards import load_card
    from emollm.evaluation.runner import evaluate

    results = evaluate(load_card(card), backend, DATA, tmp_path, limit=30, probe_items=0)
    assert results["metrics"]["accuracy"] >= least
