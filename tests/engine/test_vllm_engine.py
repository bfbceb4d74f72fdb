"""Replies written by another process: the same text as here, given up when nobody waits, and every fault told in our words."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from toys import END, TOKENIZER, begin, embeds_of, ids_of, owners_of, text_of, toy_llama
from vllm_double import doubled

from emollm.engine.settings import EngineSettings
from emollm.engine.vllm_engine import VllmEngine
from emollm.errors import BackendError
from emollm.values import Sampling

PROMPTS = ["Hello", "How do you feel today, and why?", "a", "x" * 90]
WAIT = 60


@pytest.fixture
def server(llama):
    with doubled(llama) as double:
        yield double


def engine_at(server, causal, **settings):
    return VllmEngine(causal, TOKENIZER, END, EngineSettings(core="vllm", url=server.url, **settings))


@pytest.fixture
def far(server, llama):
    return engine_at(server, llama)


def ended(engine, causal, text, **sampling):
    stream = begin(engine, causal, text, **sampling)
    said = text_of(stream)
    return said, stream.ended.tokens, stream.ended.reason


@pytest.mark.parametrize("text", PROMPTS)
@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_text_is_that_of_the_torch_core(llama, engine, far, text, penalty):
    assert ended(far, llama, text, repetition_penalty=penalty) == ended(engine, llama, text, repetition_penalty=penalty)


def test_many_at_once_get_what_each_gets_alone(llama, engine, far):
    texts = [f"{text} {i}" for i, text in enumerate(PROMPTS * 3)]
    together = list(ThreadPoolExecutor(12).map(lambda text: ended(far, llama, text), texts))
    assert together == [ended(engine, llama, text) for text in texts]
    assert far.load == 0


def test_the_end_token_ends_a_reply_and_is_told(engine, server, llama, far):
    written = ended(engine, llama, "Hello", max_new_tokens=30)[1]
    own = VllmEngine(llama, TOKENIZER, written[4], EngineSettings(core="vllm", url=server.url))
    _, tokens, reason = ended(own, llama, "Hello", max_new_tokens=30)
    first = written.index(written[4])
    assert (tokens, reason) == (written[: first + 1], "stop")
    assert server.asked[-1]["stop_token_ids"] == [written[4]]


def test_stop_strings_end_a_reply_and_are_left_out(llama, engine, far, server):
    whole = ended(engine, llama, "Hello", max_new_tokens=30)[0]
    stop = whole[5:8]
    said, _, reason = ended(far, llama, "Hello", max_new_tokens=30, stop=(stop,))
    assert said == whole[: whole.index(stop)] and reason == "stop"
    assert server.asked[-1]["stop"] == [stop]


def test_log_probabilities_are_those_computed_here(llama, engine, far):
    streams = [begin(e, llama, "Hello", logprobs=3, temperature=0.0) for e in (engine, far)]
    for stream in streams:
        text_of(stream)
    here, there = (stream.ended.choices for stream in streams)
    assert len(here) == len(there) == 20
    for own, other in zip(here, there, strict=True):
        assert own.token == other.token and own.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert [t for t, _ in own.top] == [t for t, _ in other.top] and len(other.top) == 3


def test_every_choice_is_said_so_that_no_default_of_the_server_counts(llama, far, server):
    ended(far, llama, "Hello", temperature=0.7, top_p=0.8, seed=3, repetition_penalty=1.2, max_new_tokens=5)
    said = {k: server.asked[-1][k] for k in ("model", "temperature", "top_p", "top_k", "min_p", "seed", "repetition_penalty", "max_tokens")}
    wanted = {"temperature": 0.7, "top_p": 0.8, "top_k": 0, "min_p": 0.0, "seed": 3, "repetition_penalty": 1.2, "max_tokens": 5}
    assert said == {"model": "toy", **wanted}


def test_only_the_prompt_is_sent_not_what_it_is_a_part_of(llama, far, server):
    large = embeds_of(llama, ids_of("x" * 500))
    stream = far.write(large[:4], owners_of(ids_of("xxxx")), Sampling(max_new_tokens=1))
    text_of(stream)
    assert len(server.asked[-1]["prompt_embeds"]) < 4 * 64 * 4 * 4 / 3 + 3000


def test_labels_are_scored_here_without_asking(llama, engine, far, server):
    ids = ids_of("Which?")
    options = [ids_of("yes"), ids_of("no"), ids_of("perhaps")]
    prompt = (embeds_of(llama, ids), owners_of(ids), options)
    assert far.score(*prompt) == pytest.approx(engine.score(*prompt))
    assert server.asked == []


def test_cancelling_closes_the_request(llama, far, server):
    stream = begin(far, llama, "Hello", max_new_tokens=5000, temperature=1.0)
    next(iter(stream))
    stream.cancel()
    text_of(stream)
    assert stream.ended.reason == "cancelled" and len(stream.ended.tokens) < 5000
    assert server.lost.wait(WAIT)
    assert far.load == 0


def test_cancelling_works_while_the_other_side_is_silent(llama, far, server):
    server.go.clear()
    gone = threading.Event()
    ids = ids_of("Hello")
    stream = far.write(embeds_of(llama, ids), owners_of(ids), Sampling(), cancelled=gone.is_set)
    assert server.begun.wait(WAIT)
    gone.set()
    assert text_of(stream) == "" and stream.ended.reason == "cancelled"


def test_a_reply_that_is_late_ends_with_an_error(llama, far, server):
    server.go.clear()
    stream = begin(far, llama, "Hello", due=time.monotonic() + 0.2)
    with pytest.raises(BackendError, match="deadline") as fault:
        text_of(stream)
    assert fault.value.code == "deadline_exceeded"


@pytest.mark.parametrize(
    ("status", "said", "code", "told"),
    [
        (401, '{"error": "Unauthorized"}', "backend_failed", "EMOLLM_ENGINE_KEY"),
        (404, '{"error": {"message": "The model `toy` does not exist."}}', "backend_failed", "does not exist"),
        (429, "", "server_busy", "busy"),
        (503, "<html>", "server_busy", "busy"),
        (500, "Internal Server Error", "backend_failed", "500"),
        (400, '{"error": {"message": "... longer than the maximum model length of 64."}}', "context_length_exceeded", "--max-model-len"),
        (400, '{"error": {"message": "bad value", "code": 400}}', "backend_failed", "bad value"),
        (307, "", "backend_failed", "307"),
    ],
)
def test_what_the_other_side_refuses_is_told_in_our_words(llama, far, server, status, said, code, told):
    server.status, server.said = status, said
    with pytest.raises(BackendError, match=told) as fault:
        text_of(begin(far, llama, "Hello"))
    assert fault.value.code == code
    server.status = 200
    assert ended(far, llama, "Hello")[2] in ("stop", "length")  # one failure ends that request only


@pytest.mark.parametrize(("breaks", "told"), [(3, "in the middle of the reply"), (-1, "EngineCore died")])
def test_a_reply_that_breaks_off_is_an_error_not_a_short_answer(llama, far, server, breaks, told):
    server.breaks = breaks
    stream = begin(far, llama, "Hello", max_new_tokens=20)
    with pytest.raises(BackendError, match=told):
        text_of(stream)
    assert far.load == 0


def test_nobody_there_is_told_at_once(llama):
    with doubled(llama) as server:
        url = server.url
    with pytest.raises(BackendError, match="Is it running"):
        VllmEngine(llama, TOKENIZER, END, EngineSettings(core="vllm", url=url))


@pytest.mark.parametrize("models", ["[]", "<html>", '{"data": []}', '{"data": [{}]}'])
def test_a_server_that_is_none_of_vllm_is_refused(llama, server, models):
    server.models = models
    with pytest.raises(BackendError):
        engine_at(server, llama)


def test_the_key_is_sent(llama):
    with doubled(llama, key="secret") as server:
        with pytest.raises(BackendError):
            engine_at(server, llama)
        engine = engine_at(server, llama, key="secret")
        assert ended(engine, llama, "Hello")[1]
        assert "secret" not in repr(EngineSettings(core="vllm", url=server.url, key="secret"))


def test_too_many_on_their_way_are_refused(llama, server):
    engine = engine_at(server, llama, streams=1, waiting=1)
    server.go.clear()
    streams = [begin(engine, llama, "Hello") for _ in range(2)]
    with pytest.raises(BackendError) as fault:
        begin(engine, llama, "Hello")
    assert fault.value.code == "server_busy"
    server.go.set()
    assert text_of(streams[0]) == text_of(streams[1])
    assert ended(engine, llama, "Hello")[1]


def test_a_server_of_another_model_is_not_trusted(llama, server, far):
    ids = ids_of("How are you?")
    far.check(embeds_of(llama, ids), owners_of(ids))
    other = toy_llama(seed=1)
    wrong = engine_at(server, other)
    with pytest.raises(BackendError, match="is not this one"):
        wrong.check(embeds_of(other, ids), owners_of(ids))


def test_what_the_server_keeps_of_a_clip_is_not_found_again_after_forgetting(llama, far, server):
    for _ in range(2):
        ended(far, llama, "Hello")
    far.forget("0" * 64)
    ended(far, llama, "Hello")
    first, second, third = (body["cache_salt"] for body in server.asked)
    assert first == second != third


def test_embeddings_of_another_width_are_refused_before_they_are_sent(llama, far, server):
    ids = ids_of("Hello")
    with pytest.raises(ValueError, match="do not fit"):
        far.write(embeds_of(llama, ids)[:, :32], owners_of(ids), Sampling())
    assert server.asked == []


def test_a_schema_is_sent_and_one_that_cannot_be_followed_is_refused_here(llama, far, server):
    ended(far, llama, "Hello", schema='{"type": "object"}', max_new_tokens=2)
    assert server.asked[-1]["structured_outputs"] == {"json": '{"type": "object"}'}
    with pytest.raises(BackendError) as fault:
        begin(far, llama, "Hello", schema='{"type": "nonsense"}')
    assert fault.value.code == "invalid_request" and len(server.asked) == 1


def test_vllm_and_its_address_go_together():
    with pytest.raises(BackendError, match="--engine-url"):
        EngineSettings(core="vllm")
    for name in ("torch", "auto", "fast"):
        with pytest.raises(BackendError, match="--engine-url"):
            EngineSettings.named(name, url="http://127.0.0.1:1/v1")
