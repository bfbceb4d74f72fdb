"""Requests that share a core: none is changed, delayed for long or ended by another."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from toys import END, TOKENIZER, Gate, begin, embeds_of, engine_of, ids_of, owners_of, reference, text_of, toy_llama
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, Qwen2Config, Qwen2ForCausalLM

from emollm.engine.alone_core import AloneCore, torch_core
from emollm.engine.torch_core import TorchCore
from emollm.errors import BackendError
from emollm.values import Sampling

PROMPTS = ["Hello", "How do you feel today, and why?", "a", "x" * 90, "Tell me of the sea. " * 8, "ok?"]


@pytest.mark.parametrize("text", PROMPTS)
@pytest.mark.parametrize("penalty", [1.0, 1.1, 1.7])
def test_greedy_is_what_transformers_writes(llama, engine, text, penalty):
    stream = begin(engine, llama, text, repetition_penalty=penalty)
    text_of(stream)
    assert list(stream.ended.tokens) == reference(llama, text, repetition_penalty=penalty)


def test_sampling_draws_what_transformers_draws(llama, engine):
    for seed in range(3):
        stream = begin(engine, llama, "Hello", temperature=0.9, top_p=0.8, seed=seed, repetition_penalty=1.3)
        text_of(stream)
        torch.manual_seed(seed)
        wanted = llama.generate(
            inputs_embeds=embeds_of(llama, ids_of("Hello"))[None],
            max_new_tokens=20,
            do_sample=True,
            temperature=0.9,
            top_p=0.8,
            top_k=0,
            repetition_penalty=1.3,
            eos_token_id=END,
            pad_token_id=END,
        )[0].tolist()
        assert list(stream.ended.tokens) == wanted


@pytest.mark.parametrize("seed", range(4))
def test_arrivals_at_any_time_change_nobodys_text(llama, seed):
    engine = engine_of(llama, chunk=16, chunk_alone=32, streams=5)
    chance = random.Random(seed)
    asked = [
        {
            "text": chance.choice(PROMPTS) + str(i),
            "max_new_tokens": chance.randint(1, 30),
            "temperature": chance.choice([0.0, 1.0]),
            "seed": i,
            "wait": chance.random() * 0.05,
        }
        for i in range(14)
    ]

    def ask(which):
        options = dict(which)
        time.sleep(options.pop("wait"))
        stream = begin(engine, llama, options.pop("text"), **options)
        text_of(stream)
        return stream.ended.tokens

    together = list(ThreadPoolExecutor(14).map(ask, asked))
    alone = [ask(which) for which in asked]
    fresh = engine_of(llama, prefixes=0)

    def ask_fresh(which):
        options = {k: v for k, v in which.items() if k not in ("wait", "text")}
        stream = begin(fresh, llama, which["text"], **options)
        text_of(stream)
        return stream.ended.tokens

    assert together == alone == [ask_fresh(which) for which in asked]


def test_running_replies_go_on_while_a_long_prompt_is_read(llama):
    gate = Gate(TorchCore(llama))
    engine = engine_of(llama, core=gate, chunk=8)
    first = begin(engine, llama, "Hi", max_new_tokens=60)
    pieces = iter(first)
    next(pieces)
    second = begin(engine, llama, "y" * 100, max_new_tokens=2)
    text_of(second)
    both = [lengths for lengths in gate.seen if len(lengths) == 2 and max(lengths) > 1]
    assert len(both) >= 8 and all(max(lengths) <= 8 and min(lengths) == 1 for lengths in both)


def test_cancelling_ends_one_within_a_step(llama):
    gate = Gate(TorchCore(llama))
    engine = engine_of(llama, core=gate)
    stream, other = begin(engine, llama, "Hi", max_new_tokens=4000), begin(engine, llama, "Ho", max_new_tokens=50)
    next(iter(stream))
    gate.open_.clear()
    stream.cancel()
    before = -1
    while before != gate.steps:  # a step that had begun may still be under way on a busy machine
        before = gate.steps
        time.sleep(0.3)
    gate.open_.set()
    text_of(stream)
    text_of(other)
    assert stream.ended.reason == "cancelled"
    assert sum(len(lengths) == 2 for lengths in gate.seen[before:]) <= 1  # the step at the gate; then the other goes on alone
    assert list(other.ended.tokens) == reference(llama, "Ho", max_new_tokens=50)


def test_stop_strings_end_a_reply_and_are_left_out(llama, engine):
    whole = text_of(begin(engine, llama, "Hello", max_new_tokens=30))
    stop = whole[5:8]
    stream = begin(engine, llama, "Hello", max_new_tokens=30, stop=(stop,))
    assert text_of(stream) == whole[: whole.index(stop)] and stream.ended.reason == "stop"


def test_a_late_reply_ends_with_an_error(llama):
    gate = Gate(TorchCore(llama))
    engine = engine_of(llama, core=gate)
    running = begin(engine, llama, "Hi", max_new_tokens=100_000, due=time.monotonic() + 0.2)
    with pytest.raises(BackendError) as caught:
        text_of(running)
    assert caught.value.code == "deadline_exceeded"
    assert text_of(begin(engine, llama, "Hi")) is not None


def test_a_full_queue_refuses(llama):
    gate = Gate(TorchCore(llama))
    engine = engine_of(llama, core=gate, streams=1, waiting=2)
    gate.open_.clear()
    first = begin(engine, llama, "Hi")
    while engine.scheduler.load != (1, 0):
        time.sleep(0.01)
    others = [begin(engine, llama, "Ho") for _ in range(2)]
    with pytest.raises(BackendError, match="2 are waiting") as caught:
        begin(engine, llama, "Ha")
    assert caught.value.code == "server_busy"
    gate.open_.set()
    for stream in (first, *others):
        text_of(stream)


def test_one_that_waits_can_be_cancelled_and_can_be_late(llama):
    gate = Gate(TorchCore(llama))
    engine = engine_of(llama, core=gate, streams=1)
    gate.open_.clear()
    first = begin(engine, llama, "Hi")
    waiting, late = begin(engine, llama, "Ho"), begin(engine, llama, "Ha", due=time.monotonic())
    waiting.cancel()
    gate.open_.set()
    text_of(waiting)
    assert waiting.ended.reason == "cancelled" and not waiting.ended.tokens
    with pytest.raises(BackendError):
        text_of(late)
    text_of(first)
    assert first.ended.tokens


def test_a_failing_core_is_told_to_all_and_the_engine_goes_on(llama):
    gate = Gate(TorchCore(llama))
    engine = engine_of(llama, core=gate)
    streams = [begin(engine, llama, text, max_new_tokens=4000) for text in ("Hi", "Ho")]
    for stream in streams:
        next(iter(stream))
    gate.fail_next = True
    for stream in streams:
        with pytest.raises(BackendError, match="out of smoke"):
            text_of(stream)
    after = begin(engine, llama, "Hello")
    text_of(after)
    assert list(after.ended.tokens) == reference(llama, "Hello") and engine.scheduler.failures == 1


def test_a_core_beyond_help_is_said(llama):
    gate = Gate(TorchCore(llama))
    engine = engine_of(llama, core=gate)
    gate.fail_next = gate.fail_reset = True
    with pytest.raises(BackendError):
        text_of(begin(engine, llama, "Hi"))
    with pytest.raises(BackendError, match="cannot be started again"):
        for _ in range(50):
            begin(engine, llama, "Hi")
            time.sleep(0.01)


def test_a_failing_request_ends_alone(llama, engine, monkeypatch):
    from emollm.engine import jobs

    class Faulty:
        def draw(self, *_):
            raise ValueError("bad dice")

    other = begin(engine, llama, "Ho", max_new_tokens=40)
    monkeypatch.setattr(jobs, "Sampler", lambda *_: Faulty())
    broken = begin(engine, llama, "Hi")
    with pytest.raises(ValueError, match="bad dice"):
        text_of(broken)
    monkeypatch.undo()
    text_of(other)
    assert list(other.ended.tokens) == reference(llama, "Ho", max_new_tokens=40)
    with pytest.raises(ValueError, match="do not fit"):
        engine.write(embeds_of(llama, ids_of("Hi")), owners_of(ids_of("Hi!")), Sampling())


def test_numbers_that_are_none_end_one_reply_only(llama, engine):
    ids = ids_of("Hello")
    broken = engine.write(torch.full((len(ids), 64), float("nan")), owners_of(ids), Sampling())
    other = begin(engine, llama, "Hello")
    with pytest.raises(BackendError, match="no numbers"):
        text_of(broken)
    text_of(other)
    assert list(other.ended.tokens) == reference(llama, "Hello")


def test_little_memory_makes_requests_wait_not_fail(llama):
    engine = engine_of(llama, memory_mb=1, streams=8, chunk=4)
    texts = [text_of(begin(engine, llama, f"{i}" * 40, max_new_tokens=600)) for i in range(2)]
    streams = [begin(engine, llama, f"{i}" * 40, max_new_tokens=600) for i in range(2)]
    assert [text_of(s) for s in streams] == texts


def test_the_thread_ends_when_idle_and_begins_again(llama, monkeypatch):
    monkeypatch.setattr("emollm.engine.scheduler.IDLE_S", 0.05)
    engine = engine_of(llama)
    first = text_of(begin(engine, llama, "Hi"))
    for _ in range(100):
        if not any(t.name == "emollm-engine" and t is engine.scheduler._thread for t in threading.enumerate()):
            break
        time.sleep(0.02)
    assert engine.scheduler._thread is None
    assert text_of(begin(engine, llama, "Hi")) == first


def test_log_probabilities_are_the_models_own(llama, engine):
    stream = begin(engine, llama, "Hello", max_new_tokens=5, logprobs=3, temperature=1.0, seed=1)
    text_of(stream)
    ids = ids_of("Hello")
    logits = llama(input_ids=torch.tensor([[*ids, *stream.ended.tokens]])).logits[0].log_softmax(-1)
    for i, choice in enumerate(stream.ended.choices):
        row = logits[len(ids) - 1 + i]
        assert choice.logprob == pytest.approx(float(row[choice.token]), abs=1e-4)
        assert [t for t, _ in choice.top] == row.topk(3).indices.tolist() and len(choice.top) == 3


def test_models_with_windows_run_alone_and_right():
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=len(TOKENIZER), hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, sliding_window=16, initializer_range=0.3, sliding_window_pattern=2, eos_token_id=END, pad_token_id=END, bos_token_id=0,
    )  # fmt: skip
    gemma = Gemma3ForCausalLM(config).eval().requires_grad_(requires_grad=False)
    core = torch_core(gemma)
    assert isinstance(core, AloneCore)
    engine = engine_of(gemma, core=core)
    streams = [begin(engine, gemma, text) for text in PROMPTS[:4]]
    for stream, text in zip(streams, PROMPTS, strict=False):
        text_of(stream)
        assert list(stream.ended.tokens) == reference(gemma, text)


def test_other_families_share_steps_too():
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(TOKENIZER), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        initializer_range=0.3, eos_token_id=END, pad_token_id=END, bos_token_id=0,
    )  # fmt: skip
    qwen = Qwen2ForCausalLM(config).eval().requires_grad_(requires_grad=False)
    engine = engine_of(qwen)
    streams = [begin(engine, qwen, text) for text in PROMPTS]
    for stream, text in zip(streams, PROMPTS, strict=True):
        text_of(stream)
        assert list(stream.ended.tokens) == reference(qwen, text)


def test_the_toy_is_not_trivial():
    texts = {tuple(reference(toy_llama(), p)) for p in PROMPTS}
    assert len(texts) == len(PROMPTS)
