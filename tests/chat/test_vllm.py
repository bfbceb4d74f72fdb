"""A system whose language model is elsewhere: at toy scale against a server of our own, at mini scale against a vLLM that is given."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from paths import HAVE_WEIGHTS, SAMPLES
from talks_for_parity import TALKS
from transformers import AutoModelForCausalLM
from vllm_double import doubled

from emollm.build import build
from emollm.chat.local import LocalBackend
from emollm.engine.settings import EngineSettings
from emollm.errors import BackendError
from emollm.model.export import export_language_model
from emollm.values import Message, Sampling

LIVE = os.environ.get("EMOLLM_TEST_VLLM", "")  # address of a vLLM that serves the export of emollm at scale mini, in float32
needs_vllm = pytest.mark.skipif(not (LIVE and HAVE_WEIGHTS), reason="needs EMOLLM_TEST_VLLM=http://127.0.0.1:9000/v1 and the mini weights")
JOY = SAMPLES / "sample_joy.mp4"


def through(parts, url):
    return LocalBackend(parts, EngineSettings(core="vllm", url=url, threads=1))


@pytest.fixture(scope="module")
def toy():
    return LocalBackend(build("emollm", "toy"))


@pytest.fixture(scope="module")
def served(toy, tmp_path_factory):
    """The toy system's export, as another process would load and serve it."""
    folder = tmp_path_factory.mktemp("export") / "toy"
    parts = toy.parts
    export_language_model(parts.model, parts.tokenizer, parts.prompts.end_id, folder, {"version": parts.version})
    with doubled(AutoModelForCausalLM.from_pretrained(folder).eval()) as server:
        yield server


def test_answers_about_a_clip_are_the_same_through_another_process(toy, served):
    far = through(toy.parts, served.url)
    for message in (Message("user", "Who is this?", (JOY,)), Message("user", "Hello")):
        replies = [backend.reply([message], Sampling(max_new_tokens=12)) for backend in (toy, far)]
        here, there = (reply.text() for reply in replies)
        assert here == there
        assert (
            replies[0].usage == replies[1].usage
            and replies[0].usage.completion_tokens
            and replies[0].finish_reason == replies[1].finish_reason
        )
    assert far.version == f"{toy.version}-vllm"
    asked = len(served.asked)
    assert far.score([Message("user", "?")], ["a", "bb"]) == pytest.approx(toy.score([Message("user", "?")], ["a", "bb"]))
    assert len(served.asked) == asked  # labels were scored here


def test_other_weights_behind_the_address_are_refused(toy, served):
    other = build("emollm", "toy", perception=toy.parts.perception)
    for weight in other.model.causal.model.layers.parameters():
        weight.data.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    with pytest.raises(BackendError, match="is not this one"):
        through(other, served.url)


def test_the_command_line_takes_the_address(served):
    def emollm(*more):
        command = [sys.executable, "-m", "emollm", "chat", "--ask", "Hello", "--scale", "toy", "--max-tokens", "6", "--json", *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    before = len(served.asked)
    done = emollm("--engine", "vllm", "--engine-url", served.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] and len(served.asked) == before + 2  # the trial and the answer
    for wrong, said in (
        (("--engine", "vllm"), "--engine-url"),
        (("--engine-url", served.url), "--engine vllm"),
        (("--engine", "vllm", "--engine-url", "http://8.8.8.8/v1"), "public"),
    ):
        failed = emollm(*wrong)
        assert failed.returncode == 2 and said in failed.stderr


# -- against a real vLLM


@pytest.fixture(scope="module")
def pair():
    here = LocalBackend.from_recipe("emollm", scale="mini", threads=1)
    return here, through(here.parts, LIVE)


def said(backend, name, **sampling):
    reply = backend.reply(TALKS[name], Sampling(**{"max_new_tokens": 48, "repetition_penalty": 1.0, **sampling}))
    return reply.text(), reply.usage, reply.finish_reason


@pytest.mark.slow
@needs_vllm
def test_vllm_writes_the_text_that_is_written_here(pair):
    here, there = pair
    assert {name: said(there, name) for name in TALKS} == {name: said(here, name) for name in TALKS}


@pytest.mark.slow
@needs_vllm
def test_vllm_writes_the_same_to_two_at_once(pair):
    here, there = pair
    names = ["joy, how", "dog"]
    assert list(ThreadPoolExecutor(2).map(lambda name: said(there, name), names)) == [said(here, name) for name in names]


@pytest.mark.slow
@needs_vllm
def test_vllm_tells_the_probabilities_that_are_computed_here(pair):
    replies = [backend.reply(TALKS["glad"], Sampling(max_new_tokens=8, repetition_penalty=1.0, logprobs=3)) for backend in pair]
    for reply in replies:
        reply.text()
    for own, other in zip(replies[0].logprobs, replies[1].logprobs, strict=True):
        assert own["token"] == other["token"] and own["logprob"] == pytest.approx(other["logprob"], abs=0.01)


@pytest.mark.slow
@needs_vllm
def test_vllm_follows_a_schema(pair):
    schema = {
        "type": "object",
        "properties": {"emotion": {"enum": ["glad", "sad"]}},
        "required": ["emotion"],
        "additionalProperties": False,
    }
    reply = pair[1].reply(TALKS["sad, how"], Sampling(max_new_tokens=40, schema=json.dumps(schema)))
    assert json.loads(reply.text())["emotion"] in ("glad", "sad") and reply.finish_reason == "stop"


@pytest.mark.slow
@needs_vllm
def test_vllm_is_told_when_nobody_waits(pair):
    reply = pair[1].reply(TALKS["dog"], Sampling(max_new_tokens=800, temperature=1.5, seed=1))
    next(iter(reply))
    reply.cancel()
    reply.text()
    assert reply.finish_reason in ("cancelled", "stop")
    assert said(pair[1], "glad") == said(pair[0], "glad")  # and goes on with others
