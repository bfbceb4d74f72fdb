"""Mixtures over unified samples: exact shares, nothing twice before its time, resumable at any draw, clear words on what is missing."""

import json
import tomllib
from collections import Counter
from itertools import chain

import pytest
from unified_rows import row, write

from emollm import catalog
from emollm.data.asking import KINDS
from emollm.data.leakage import check_cards
from emollm.data.mixture_spec import load_spec
from emollm.data.sample_index import SampleIndex
from emollm.data.unified_mixture import UnifiedMixture
from emollm.errors import DataError

SHIPPED = [n for n in catalog.names("instruct_data") if "kind" in tomllib.loads(catalog.find("instruct_data", n).read_text("utf-8"))]
MIX = """
kind = "unified"
about = "test"
source = "test"
samples = 100
[[sources]]
corpora = ["one"]
weight = 7
asks = ["emotion"]
[[sources]]
corpora = ["two", "three"]
weight = 3
asks = { reason = 1, emotion = 3 }
"""


def rows_of(spec, count=12):
    """Some samples for each source of a mixture, each of all it is asked."""
    for source in spec.sources:
        for corpus in source.corpora:
            yield from (row("every" if corpus == "*" else corpus, i, list(spec.asked(source))) for i in range(count))


@pytest.fixture
def mix(tmp_path):
    def made(text=MIX, counts=(("one", 50), ("two", 20), ("three", 9)), kinds=("emotion", "reason"), **options):
        rows = [row(corpus, i, kinds) for corpus, count in counts for i in range(count)]
        files = [write(tmp_path / "a.jsonl", rows[::2]), write(tmp_path / "b.jsonl", rows[1::2])]
        (tmp_path / "mix.toml").write_text(text, "utf-8")
        return UnifiedMixture(str(tmp_path / "mix.toml"), files, **options)

    return made


def told(draws):
    return [(d.number, d.source, d.kind, d.sample.id, d.asked()) for d in draws]


def test_shares_hold_to_the_sample(mix):
    mixture = mix()
    assert mixture.weights == {"one": 0.7, "two+three": 0.3}
    for count in (10, 990):
        list(mixture.draw(count))
        assert mixture.realised() == pytest.approx({"one": 0.7, "two+three": 0.3}, abs=1 / mixture.drawn)
    kinds = mixture.realised_kinds()
    assert kinds["two+three", "reason"] == pytest.approx(0.075, abs=0.002) and kinds["one", "emotion"] == pytest.approx(0.7)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_mixtures_draw_their_weights(name, tmp_path):
    spec = load_spec(name)
    mixture = UnifiedMixture(name, [write(tmp_path / "all.jsonl", rows_of(spec))])
    for draw in mixture.draw(1000):
        assert draw.asked().question and draw.asked().answer
    weights = [s.weight or 1.0 for s in spec.sources]
    wanted = {spec.key(s): w / sum(weights) for s, w in zip(spec.sources, weights, strict=True)}
    assert mixture.realised() == pytest.approx(wanted, abs=0.01)


def test_the_published_ratios_of_the_last_phase(tmp_path):
    mixture = UnifiedMixture("p2e-3", [write(tmp_path / "all.jsonl", rows_of(load_spec("p2e-3")))])
    list(mixture.draw(1000))
    shares = mixture.realised()
    assert [round(100 * shares[c]) for c in ("mer-caption", "avamerg", "merr", "mintrec2", "mintrec")] == [55, 35, 5, 3, 2]
    tasks = Counter()
    for (source, kind), share in mixture.realised_kinds().items():
        tasks["MER" if (source, kind) == ("avamerg", "open-vocabulary") else kind] += share
    tasks["MER"] += tasks.pop("emotion")
    ratio = [tasks[t] for t in ("MER", "open-vocabulary", "intent", "reason", "empathy-chain")]
    assert ratio == pytest.approx([0.18, 0.28, 0.05, 0.31, 0.18], abs=0.01)


def test_published_sums():
    assert [sum(s.weight for s in load_spec(n).sources) for n in ("p2c-perception", "p2c-cognition")] == [1500 + 541, 1530 + 707]
    assert [sum(s.weight for s in load_spec(n).sources) for n in ("p2e-1a", "p2e-1b", "p2e-2", "p2e-3")] == [38, 62, 100, 100]


def test_the_same_seed_draws_the_same(mix):
    assert told(mix(seed=3).draw(200)) == told(mix(seed=3).draw(200))
    assert told(mix(seed=3).draw(200)) != told(mix(seed=4).draw(200))


def test_nothing_comes_twice_before_all_has_come_once(mix):
    drawn = Counter(d.sample.id for d in mix().draw(300) if d.source == "one")
    assert len(drawn) == 50 and set(drawn.values()) == {4, 5}, "210 draws of 50 samples"
    first = [d.sample.id for d in mix().draw(300) if d.source == "one"]
    assert len(set(first[:50])) == 50 and first[:50] != first[50:100], "shuffled anew when it is through"


@pytest.mark.parametrize("stop", [0, 1, 71, 72, 137, 400])
def test_a_kept_state_goes_on_exactly(mix, stop):
    whole = mix(seed=1)
    list(whole.draw(stop))
    kept = json.loads(json.dumps(whole.state()))
    assert len(json.dumps(kept)) < 600
    rest = mix(seed=1)
    rest.load_state(kept)
    assert told(rest.draw(150)) == told(whole.draw(150))
    assert rest.realised() == whole.realised() and rest.state() == whole.state()


def test_a_state_of_something_else_is_refused(mix):
    kept = mix(seed=1).state()
    with pytest.raises(DataError, match="of another seed \\(1, now 2\\)"):
        mix(seed=2).load_state(kept)
    with pytest.raises(DataError, match="of another files"):
        mix(seed=1, counts=(("one", 51), ("two", 20), ("three", 9))).load_state(kept)


def test_missing_corpora_are_told_at_once_with_the_command_that_makes_them(tmp_path):
    rows = [row("mintrec", 0, ["emotion"]), row("merr", 0, ["emotion"], split="val"), row("avamerg", 0, ["empathy"])]
    with pytest.raises(DataError) as caught:
        UnifiedMixture("p2e-3", [write(tmp_path / "few.jsonl", rows)])
    said = str(caught.value)
    assert "misses 5 corpora" in said
    assert "mer-caption; make it with `emollm data build mer-caption-plus --root FOLDER --out mer-caption-plus.jsonl`" in said
    assert "merr is there, but only its val split; give its train split" in said
    assert "mintrec is there, but no sample of it can be asked intent" in said
    assert "avamerg is there, but no sample of it can be asked open-vocabulary or empathy-chain" in said


def test_optional_corpora_give_their_weight_to_the_others(mix):
    text = MIX.replace('corpora = ["two", "three"]', 'corpora = ["four"]\noptional = true')
    mixture = mix(text)
    list(mixture.draw(10))
    assert mixture.realised() == mixture.weights == {"one": 1.0}
    assert mixture.notes == ["four is not there; the other sources share its weight"]
    with pytest.raises(DataError, match="four, which no reader makes; write unified samples of it yourself"):
        mix(text.replace("optional = true", ""))


def test_without_weights_sizes_decide(mix):
    mixture = mix(MIX.replace("weight = 7\n", "").replace("weight = 3\n", ""))
    assert mixture.weights == pytest.approx({"one": 50 / 79, "two+three": 29 / 79})
    with pytest.raises(DataError, match="some sources have a weight and some have none"):
        mix(MIX.replace("weight = 7\n", ""))


def test_faulty_files(mix, tmp_path):
    with pytest.raises(DataError, match="unknown field"):
        mix(MIX.replace('about = "test"', 'about = "test"\nmood = 1'))
    with pytest.raises(DataError, match="train with --data"):
        UnifiedMixture("perception", [])
    with pytest.raises(DataError, match="says nothing of what it is asked"):
        mix(MIX.replace('asks = ["emotion"]\n', ""))
    (tmp_path / "bad.jsonl").write_text(f"{json.dumps(row('one', 0, ['emotion']))}\nnonsense\n", "utf-8")
    with pytest.raises(DataError, match=r"bad.jsonl, line 2: no unified sample"):
        SampleIndex([tmp_path / "bad.jsonl"])
    broken = row("one", 0, ["emotion"], level="interaction")
    index = SampleIndex([write(tmp_path / "broken.jsonl", [broken])])
    with pytest.raises(DataError, match=r"broken.jsonl, the line at byte 0: .*its highest task makes it 'perception'"):
        index.read(0)
    with pytest.raises(DataError, match="cannot read"):
        SampleIndex([tmp_path / "none.jsonl"])


def test_only_train_is_drawn_and_only_one_fold(tmp_path):
    spread = [row("dfew", i, ["emotion"], split=s, fold=1) for s in ("train", "val", "test") for i in range(5)]
    (tmp_path / "mix.toml").write_text(
        MIX.split("[[sources]]", maxsplit=1)[0] + '[[sources]]\ncorpora = ["*"]\nasks = ["emotion"]\n', "utf-8"
    )
    mixture = UnifiedMixture(str(tmp_path / "mix.toml"), [write(tmp_path / "one.jsonl", spread)])
    assert {d.sample.split for d in mixture.draw(50)} == {"train"} and mixture.trained() == {"dfew@1": ("train",)}
    with pytest.raises(DataError, match="several folds of dfew"):
        UnifiedMixture(str(tmp_path / "mix.toml"), [write(tmp_path / "two.jsonl", chain(spread, [row("dfew", 9, ["emotion"], fold=2)]))])


def test_a_mixture_that_learns_from_what_a_card_measures_is_refused():
    with pytest.raises(DataError, match=r"mine learns from what emer measures: emer \(train\)"):
        check_cards({"emer": ("train",)}, "mine")
    with pytest.raises(DataError, match=r"mine learns from what open-\w+ measures: meld \(val\)|mine learns from what meld-\w+ measures"):
        check_cards({"meld": ("train", "val")}, "mine")
    check_cards({"dfew@3": ("train",), "meld": ("train",), "ravdess": ("train",), "mer-caption": ("train",)}, "mine")


def test_shipped_mixtures_measure_nothing_they_learn():
    assert len(SHIPPED) == 12
    for name in SHIPPED:
        check_cards({c: ("train",) for s in load_spec(name).sources for c in s.corpora if c != "*"}, name)


def test_the_index_holds_what_each_line_may_be_asked(tmp_path):
    index = SampleIndex([write(tmp_path / "all.jsonl", (row("made", k, [kind]) for k, kind in enumerate(KINDS)))])
    assert len(index) == len(KINDS)
    for k, kind in enumerate(KINDS):
        assert index.mask(k) >> k & 1, kind
        assert index.read(k).id == f"made/{k}"
    index.close()
