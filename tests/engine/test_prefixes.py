"""Beginnings that were read before, and labels scored as branches of one prompt."""

import time

import pytest
import torch
from toys import END, begin, embeds_of, engine_of, ids_of, owners_of, text_of, toy_llama

from emollm.engine.openvino_core import OpenvinoCore
from emollm.engine.prefixes import Prefixes
from emollm.engine.torch_core import TorchCore
from emollm.values import Sampling

CLIP = "c" * 64


@pytest.fixture(scope="module", params=["torch", "openvino"])
def core(request, llama, tmp_path_factory):
    if request.param == "torch":
        return TorchCore(llama)
    pytest.importorskip("openvino")
    return OpenvinoCore(llama, precision="float32", threads=1, memory_mb=4, folder=tmp_path_factory.mktemp("exports"))


def test_a_kept_beginning_gives_the_same_logits(core, llama):
    ids = ids_of("Once upon a time there was a small model that remembered. " * 2)
    embeds = embeds_of(llama, ids)
    whole = core.open()
    wanted = core.forward([(whole, embeds)])
    kept = core.keep(whole)
    core.forward([(whole, embeds[:3])])  # goes on, and must not change what was kept
    for at in (1, 31, 32, 40, len(ids) - 1):
        again = core.resume(kept, at)
        assert again.length == at
        assert torch.allclose(core.forward([(again, embeds[at:])]), wanted, atol=2e-4)
        core.close(again)
    core.close(whole)
    core.close(kept)


def test_several_sequences_in_one_call_are_as_each_alone(core, llama):
    texts = ["Hi", "How are you, then? And what of the others who came along?", "x" * 70]
    alone = []
    for text in texts:
        one = core.open()
        core.forward([(one, embeds_of(llama, ids_of(text)))])
        alone.append(core.forward([(one, core.embed([5]))])[0])
        core.close(one)
    several = [core.open() for _ in texts]
    core.forward([(s, embeds_of(llama, ids_of(t))) for s, t in zip(several, texts, strict=True)])
    core.close(several.pop(0))  # one leaves; the last takes its place
    together = core.forward([(several[1], core.embed([5])), (several[0], core.embed([5]))])
    assert torch.allclose(together, torch.stack([alone[2], alone[1]]), atol=2e-4)
    for s in several:
        core.close(s)


def test_conversations_in_turn_are_each_read_once(llama):
    engine = engine_of(llama)
    talks = [f"{name} says a good many things about the weather. " for name in ("Ann", "Bob", "Cem")]
    for said in talks:
        text_of(begin(engine, llama, said, max_new_tokens=4))
    for said in talks:
        stream = begin(engine, llama, said + "And then?", max_new_tokens=4)
        text_of(stream)
        assert stream.ended.reused >= len(ids_of(said)) - 1
        cold = begin(engine_of(llama), llama, said + "And then?", max_new_tokens=4)
        text_of(cold)
        assert cold.ended.tokens == stream.ended.tokens and cold.ended.reused == 0


def test_the_same_words_about_another_clip_are_not_the_same(llama):
    engine = engine_of(llama)
    text = "A long enough text about some clip."
    text_of(begin(engine, llama, text, clip=CLIP))
    other = begin(engine, llama, text, clip="d" * 64)
    text_of(other)
    assert other.ended.reused == 0


def test_forgetting_drops_what_shows_the_clip_and_nothing_else(llama):
    engine = engine_of(llama)
    text = "A long enough text about some clip."
    text_of(begin(engine, llama, text, clip=CLIP))
    text_of(begin(engine, llama, text))
    engine.forget(CLIP)
    again, plain = begin(engine, llama, text, clip=CLIP), begin(engine, llama, text)
    text_of(again)
    text_of(plain)
    assert again.ended.reused == 0 and plain.ended.reused > 0


def test_a_reply_that_runs_while_its_clip_is_forgotten_is_not_kept(llama):
    engine = engine_of(llama)
    text = "A long enough text about some clip."
    running = begin(engine, llama, text, clip=CLIP, max_new_tokens=300, repetition_penalty=1.0)
    next(iter(running))
    engine.forget(CLIP)
    running.cancel()
    text_of(running)
    again = begin(engine, llama, text, clip=CLIP)
    text_of(again)
    assert again.ended.reused == 0


def test_a_prompt_on_its_way_while_its_clip_is_forgotten_is_not_kept(llama):
    engine = engine_of(llama)
    ids = ids_of("A long enough text about some clip.")
    since = time.monotonic()
    engine.forget(CLIP)
    text_of(engine.write(embeds_of(llama, ids), owners_of(ids, CLIP), Sampling(max_new_tokens=4), since=since))
    again = engine.write(embeds_of(llama, ids), owners_of(ids, CLIP), Sampling(max_new_tokens=4))
    text_of(again)
    third = engine.write(embeds_of(llama, ids), owners_of(ids, CLIP), Sampling(max_new_tokens=4))
    text_of(third)
    assert again.ended.reused == 0 and third.ended.reused > 0  # asked after it was forgotten: that is kept


def test_only_so_many_are_kept_the_oldest_goes(llama):
    dropped = []
    kept = Prefixes(2, dropped.append)
    rows = {n: [(i, -1, n) for i in range(20)] for n in "abc"}
    kept.add(rows["a"], "A")
    kept.add(rows["b"], "B")
    assert kept.find([*rows["a"], (9, -1, "")]) == ("A", 20)  # now b is the least used
    kept.add(rows["c"], "C")
    assert dropped == ["B"] and kept.find([*rows["b"], (9, -1, "")]) is None
    kept.add([*rows["a"], (1, -1, "")], "A2")  # says all that A says
    assert dropped == ["B", "A"]
    assert kept.find(rows["a"][:10]) is None  # too short to pay


@pytest.mark.parametrize("count", [2, 40])
def test_scores_are_sums_of_the_models_own_log_probabilities(core, llama, count):
    engine = engine_of(llama, core=core)
    prompt = ids_of("Which of these is it?")
    options = [[*ids_of("ab" * (1 + i % 5) + str(i)), END] for i in range(count)]
    found = engine.score(embeds_of(llama, prompt), owners_of(prompt), options)
    for option, total in zip(options, found, strict=True):
        rows = llama(input_ids=torch.tensor([[*prompt, *option]])).logits[0].log_softmax(-1)
        wanted = sum(float(rows[len(prompt) - 1 + i, t]) for i, t in enumerate(option))
        assert total == pytest.approx(wanted, abs=2e-3)
    engine.clear()


def test_scores_and_replies_share_steps(llama):
    engine = engine_of(llama)
    alone = text_of(begin(engine, llama, "Hello", max_new_tokens=60))
    running = begin(engine, llama, "Hello", max_new_tokens=60)
    prompt = ids_of("Which of these is it?")
    assert len(engine.score(embeds_of(llama, prompt), owners_of(prompt), [[5, END], [6, END]])) == 2
    assert text_of(running) == alone


def test_all_memory_comes_back(core, llama):
    engine = engine_of(llama, core=core)
    for i in range(6):
        text_of(begin(engine, llama, f"{i} and much more text than before", max_new_tokens=40))
        prompt = ids_of(f"{i} which of these is it?")
        engine.score(embeds_of(llama, prompt), owners_of(prompt), [[5, 6, END], [6, END]])
    engine.clear()
    if isinstance(core, OpenvinoCore):
        assert not core._refs.any() and len(core._free) == len(core._refs)
    else:
        assert not core._rows


def test_toys_of_two_seeds_differ():
    assert not torch.equal(toy_llama(0).lm_head.weight, toy_llama(1).lm_head.weight)
