"""A signal ends training with a checkpoint of the step at hand, and going on from it comes to the same losses."""

import os
import signal

import pytest
from learnable import STAGE, samples

from emollm.build import build
from emollm.training.sft import run_sft


def learn(out, *, resume=False, then=lambda: None):
    parts = build("emollm", "toy", fresh=True, perception=object())
    losses = {}

    def watch(step, of, loss):
        losses[step] = loss
        if len(losses) == 1:
            then()

    run_sft(parts.model.train(), parts.prompts, samples(), STAGE, out, resume=resume, report=watch)
    return losses


class MissedError(Exception):
    """A signal that training did not take."""


@pytest.fixture
def caught(which):
    """A signal that nobody takes is an error of the test, not the end of the process that runs all tests, whatever it was started by."""

    def miss(number, frame):
        raise MissedError

    before = signal.signal(which, miss)
    yield miss
    signal.signal(which, before)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_where_it_was(tmp_path, which, caught):
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "stopped", then=lambda: os.kill(os.getpid(), which))
    assert signal.getsignal(which) is caught
    (kept,) = (tmp_path / "stopped").glob("checkpoint-*")
    assert int(kept.name.split("-")[1]) in (10, 11), "the first losses are told after ten steps, and the checkpoints of its own come at 200"
    rest = learn(tmp_path / "stopped", resume=True)
    whole = learn(tmp_path / "whole")
    assert min(rest) > 10 and max(rest) == max(whole)
    for step, loss in rest.items():
        assert loss == pytest.approx(whole[step], rel=0.05, abs=0.02)


def test_an_ignored_signal_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        losses = learn(tmp_path, then=lambda: os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert max(losses) > 20, "it went on to the end"
