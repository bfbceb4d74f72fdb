"""What a replica does, without Ray around it: batches, streams that somebody leaves, and both halves together against the whole."""

import asyncio
import hashlib
from pathlib import Path

import clips
import pytest

from emollm.cluster.halves import EchoHalves
from emollm.cluster.letters import Ended, Fault, Measured, Sent
from emollm.cluster.replicas import Encoders, Writers
from emollm.engine.settings import EngineSettings
from emollm.values import Message, Sampling


def sent(content, suffix=".wav"):
    return Sent(hashlib.sha256(content).hexdigest(), suffix, content)


def test_a_batch_measures_each_content_once_and_a_bad_clip_stops_no_other():
    short, long, bad = (sent(content) for content in (clips.wav(0.5), clips.wav(1.0), b"<html>"))
    encoders = Encoders(EchoHalves())
    found = asyncio.run(encoders.measure([short, bad, long, short]))
    assert [type(one) for one in found] == [Measured, Fault, Measured, Measured]
    assert [round(one.analysis.duration_s, 1) for one in found if isinstance(one, Measured)] == [0.5, 1.0, 0.5]
    assert found[1].code == "media_unreadable" and found[1].place == ""
    assert encoders.sizes() == [(4, 3)] and {(one.batch, one.distinct) for one in found if isinstance(one, Measured)} == {(4, 3)}
    assert not list(encoders._folder.iterdir())


def test_of_a_fault_of_ours_only_the_place_is_told():
    class Broken(EchoHalves):
        def measuring(self):
            def measure(path):
                raise ValueError("secret words of a user")

            return measure

    (fault,) = asyncio.run(Encoders(Broken()).measure([sent(clips.wav(0.5))]))
    assert "ValueError" in fault.place and "test_replicas.py" in fault.place and "secret" not in f"{fault}"


def test_whoever_leaves_a_stream_ends_the_reply():
    writers = Writers(EchoHalves(delay_s=0.01), 2)

    async def scene():
        stream = writers.write([Message("user", "word " * 100_000)], {}, Sampling(max_new_tokens=100_000))
        assert await anext(stream) and writers.busy() == 1
        await stream.aclose()
        async with asyncio.timeout(60):
            while writers.busy():
                await asyncio.sleep(0.01)
        *pieces, end = [piece async for piece in writers.write([Message("user", "two words")], {}, Sampling())]
        assert "".join(pieces).endswith("two words") and isinstance(end, Ended) and end.finish_reason == "stop"

    asyncio.run(scene())
    assert not writers._writing._told_of


def test_both_halves_say_what_the_whole_system_says(clips_folder):
    import emollm
    from emollm.cluster.local import LocalHalves

    halves = LocalHalves("emollm", "toy", engine=EngineSettings(core="torch"))
    clip, greedy = clips_folder / "sound.wav", Sampling(max_new_tokens=12, temperature=0.0)
    whole = emollm.load("emollm", scale="toy", threads=1, engine=EngineSettings(core="torch"))
    expected = whole.reply([Message("user", "how do they feel", (clip,))], greedy).text()

    async def scene():
        (found,) = await Encoders(halves).measure([sent(clip.read_bytes())])
        writers, digest = Writers(halves, 1), found.analysis.digest
        asked, analyses = [Message("user", "how do they feel", (Path(digest),))], {digest: found.analysis}
        pieces = [piece async for piece in writers.write(asked, analyses, greedy)]
        assert writers.identity() == (whole.system, whole.scale, whole.version)
        scores = await writers.score(asked, analyses, ["joy", "anger"])
        assert scores == pytest.approx(dict(whole.score([Message("user", "how do they feel", (clip,))], ["joy", "anger"])))
        return pieces

    *pieces, end = asyncio.run(scene())
    assert "".join(pieces) == expected and end.usage.completion_tokens <= 12
