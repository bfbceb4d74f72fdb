"""The shipped cards for data of one's own: complete, and with the published label lists."""

import pytest
from eval_command import evaluated

from emollm import catalog
from emollm.errors import DataError
from emollm.evaluation.answers import Reference
from emollm.evaluation.blind import floors
from emollm.evaluation.cards import MeanCard, ReferenceCard, load_card

CARDS = {name: load_card(name) for name in catalog.names("eval")}
THEIRS = {name: card for name, card in CARDS.items() if isinstance(card, ReferenceCard | MeanCard)}


def test_names_are_those_of_the_files():
    assert all(card.name == name for name, card in CARDS.items())


def test_the_means_have_all_their_members():
    assert len(THEIRS["mer-unibench"].members) == 9 and len(THEIRS["mmeverse"].members) == 18
    assert set(THEIRS["mer-unibench"].members) < set(THEIRS["mmeverse"].members) < set(THEIRS)
    kinds = [CARDS[m].headline for m in THEIRS["mmeverse"].members]
    counts = {"hit_official": 4, "f_official": 1, "weighted_f1": 4, "accuracy": 7, "map": 2}
    assert {kind: kinds.count(kind) for kind in kinds} == counts


SIZES = {
    **{"mer2023": 6, "mer2024": 6, "caer-video": 7, "dfew": 7, "dfew-one-split": 7, "ferv39k": 7, "mafw": 11, "mafw-one-split": 11},
    **{"mafw-multi": 11, "bold-body": 26, "e3-egocentric": 8, "iemocap-four": 4, "meld-emotion": 7, "meld-sentiment": 3},
    **{"mc-eiu-emotion": 7, "mc-eiu-intent": 8, "mintrec": 20, "mintrec-two": 30},
}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_lists_are_as_long_as_published(name, size):
    assert len(CARDS[name].labels) == size


def test_the_larger_intent_list_holds_the_smaller():
    assert set(CARDS["mintrec"].labels) < set(CARDS["mintrec-two"].labels)


@pytest.mark.parametrize("name", [n for n, c in THEIRS.items() if isinstance(c, ReferenceCard)])
def test_every_card_says_its_protocol_and_scores(name):
    card = CARDS[name]
    assert card.protocol and card.metric and card.source
    labels = card.labels[:3] or ("happy", "sad", "angry")
    references = [
        Reference(str(k), label, (label,), (-1.0, 0.0, 1.0)[k], (f"the brows rise and {label}",), {"fold": str(k)})
        for k, label in enumerate(labels)
    ]
    if card.task == "sentiment":
        references = [Reference(r.id, value=r.value) for r in references]
    if card.task == "questions":
        references = [Reference(str(k), key, kind="numerical", question="How many?") for k, key in enumerate("123")]
    assert card.headline in next(iter(floors(card, references).values())).measures


def test_the_template_is_a_whole_card_but_no_benchmark(capsys):
    path = catalog.folder("eval") / "template.toml"
    card = load_card(str(path))
    assert isinstance(card, ReferenceCard) and card.labels and path.read_text("utf-8").count("# [ ]") >= 8
    assert "template" not in CARDS and "template" not in evaluated(capsys, "--list")[1]


def test_people_who_were_never_asked_are_not_shown():
    shown = {name for name, card in CARDS.items() if getattr(card, "show", False)}
    assert shown == {"open-london", "synth-fec"}


def test_a_form_names_one_label_only():
    for card in THEIRS.values():
        if isinstance(card, ReferenceCard):
            words = [w for label in card.labels for w in (label, *card.forms.get(label, ()))]
            assert len(words) == len(set(words)), card.name


def test_no_card_names_a_system():
    systems = {stem.replace("_", sign) for path in (catalog.folder("adapters")).glob("*.toml") for stem in [path.stem] for sign in "-_ "}
    for path in catalog.folder("eval").glob("*.toml"):
        assert not [s for s in systems if s in path.read_text("utf-8").casefold()], path.name


def test_the_list_has_two_parts(capsys):
    _, text, _ = evaluated(capsys, "--list")
    here, theirs = text.split("needs your references")
    assert here.startswith("can be run here") and "open-meld" in here and "mer-unibench" not in here
    assert all(name in theirs for name in THEIRS) and "open-meld" not in theirs


def test_faulty_cards_are_told(tmp_path):
    path = tmp_path / "own.toml"
    text = 'name = "own"\nversion = 1\nneeds = "references"\nabout = ""\nprotocol = "p"\nmetric = "m"\nsource = "s"\n'
    for more, fault in (
        ('task = "caption"\nheadline = "uar"\n', "none of task caption"),
        ('labels = ["a", "a"]\nheadline = "uar"\n', "listed twice"),
        ('labels = ["a"]\nheadline = "uar"\n[forms]\nb = ["c"]\n', "forms of labels that are not listed"),
    ):
        path.write_text(text + more, "utf-8")
        with pytest.raises(DataError, match=fault):
            load_card(str(path))
