import tomllib

import pytest

from emollm import catalog
from emollm.data import reader_specs
from emollm.data.leakage import leaks, overlaps
from emollm.errors import DataError


def test_the_same_corpus_and_split_is_refused_with_both_names():
    said = r"perception learns from what open-meld measures: meld \(test\)\. Leave it out"
    with pytest.raises(DataError, match=said):
        leaks({"meld": ["train", "test"], "caer": ["train"]}, {"meld": ["test"]}, mixture="perception", card="open-meld")


def test_everything_shared_is_told_at_once():
    with pytest.raises(DataError, match=r"caer \(val\); meld \(test\); meld \(train\)|meld \(test\); meld \(train\); caer \(val\)"):
        leaks({"meld": ["train", "test"], "caer": ["val"]}, {"caer": ["val"], "meld": ["train", "test", "val"]})


def test_other_splits_and_other_corpora_pass():
    leaks({"meld": ["train"], "caer": ["train", "val"]}, {"meld": ["val", "test"], "iemocap": ["train"]})
    leaks({}, {"meld": ["test"]})
    leaks({"meld": []}, {"meld": ["test"]})


def test_folds_of_one_corpus_hold_the_same_clips():
    leaks({"dfew@1": ["train"]}, {"dfew@1": ["test"]})
    for learnt in ("dfew@2", "dfew"):
        with pytest.raises(DataError, match=rf"{learnt} \(train\) and dfew@1 \(test\), which split the same clips otherwise"):
            leaks({learnt: ["train"]}, {"dfew@1": ["test"]})


def test_corpora_that_share_clips_are_refused_whatever_the_split():
    assert frozenset(("ov-merd", "ov-merd-plus")) in overlaps()
    with pytest.raises(DataError, match=r"ov-merd \(train\) and ov-merd-plus \(test\), which share clips"):
        leaks({"ov-merd": ["train"]}, {"ov-merd-plus": ["test"]})


def test_readers_of_one_corpus_share_its_name():
    for name in reader_specs.names():
        reader = reader_specs.load_reader(name)
        if name.startswith("mmeverse-"):
            assert reader.corpus == name.removeprefix("mmeverse-")


def test_shipped_mixtures_do_not_learn_from_what_shipped_cards_measure():
    """Mixtures draw from train, cards measure on val."""
    cards = [tomllib.loads(p.read_text("utf-8")) for p in catalog.folder("eval").glob("*.toml")]
    mixtures = {p.stem: tomllib.loads(p.read_text("utf-8")) for p in catalog.folder("instruct_data").glob("*.toml")}
    tried = 0
    for mixture, content in mixtures.items():
        corpora = {c for s in content["sources"] for kind in ("corpora", "faces", "voices", "words") for c in s.get(kind, [])}
        for card in cards:
            if "corpus" in card:
                tried += 1
                leaks({key: ["train"] for key in corpora}, {card["corpus"]: ["val"]}, mixture=mixture, card=card["name"])
    assert tried > 10
