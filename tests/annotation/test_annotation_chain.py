"""The chain over twenty samples, by rules and by a real endpoint: interrupted anywhere it goes on without loss and without asking twice."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import servers
from stubs import Counting, clip

from emollm.annotation.agreement import agreements
from emollm.annotation.chain import Chain, Settings
from emollm.annotation.decisions import ACCEPTED, Decision, merge, read_decisions, text_hash
from emollm.annotation.endpoint import Prices, question
from emollm.annotation.estimate import estimate
from emollm.annotation.finding import AGENTS, Finding
from emollm.annotation.items import items_of, refuse_test
from emollm.annotation.output import assemble
from emollm.annotation.prompts import ask, heard, judged
from emollm.annotation.records import Record, Records, read_records
from emollm.annotation.review import page
from emollm.annotation.verify import Measured, verify
from emollm.chat.remote import RemoteBackend
from emollm.data.schema import parse_sample
from emollm.errors import BackendError, DataError, MediaError

ALL = ("visual", "audio", "transcript", "consolidator", "verifier")
SEEN = clip(sound="calm", said="I am so happy today.", kind="audio")  # audio: no frame to count in a file that holds no video


def samples(folder, n=20, split="train", label="happy", **more):
    """A unified file of n samples, each with a file of its own bytes."""
    rows = []
    for i in range(n):
        (folder / f"{i}.mp4").write_bytes(b"clip %d" % i)
        task = {"type": "emotion", "label": label, "label_set": [label, "other"]}
        rows.append(
            {
                "schema_version": 1, "id": f"c/{i}", "corpus": "c", "split": split, "media": {"video": f"{i}.mp4"}, "tasks": [task],
                "level": "perception", "licence": "CC0", **more,
            }
        )  # fmt: skip
    path = folder / "samples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return items_of(path)


def chain(folder, settings=None, backend=None, measure=lambda path: SEEN):
    return Chain(settings or Settings("e"), Records(folder / "records.jsonl"), measure, backend, wait=lambda s: None)


def lines(chain_, items):
    return [s.line() for s in assemble(items, chain_, {}).samples]


def test_local_agents_over_twenty_samples_are_deterministic_and_done_once(tmp_path):
    items = samples(tmp_path)
    first = chain(tmp_path)
    tally = first.run(items)
    assert (tally.samples, tally.finished, tally.measured, tally.calls, tally.failed) == (20, 20, 20, 0, 0)
    written = lines(first, items)
    assert len(written) == 20 and len(first.records.all()) == 20 * len(AGENTS)
    first.records.close()
    again = chain(tmp_path)
    assert again.run(items).measured == 0 and lines(again, items) == written
    (tmp_path / "other").mkdir()
    other = chain(tmp_path / "other")
    other.run(items)
    assert lines(other, items) == written
    sample = parse_sample(written[0])
    assert sample.descriptions.multimodal.origin == "emollm rules-1 e (consolidator, verified)"
    assert set(sample.descriptions.given()) == {"audio", "visual", "units", "multimodal"}


@pytest.mark.parametrize("die_at", [1, 2, 3, 4, 5, 6, 37, 99, 100])
def test_a_run_pulled_out_at_any_question_goes_on_without_loss_or_double_cost(tmp_path, die_at):
    items = samples(tmp_path)
    settings = Settings("e", by_model=ALL, prices=Prices(1.0, 2.0))

    class Pulled(Counting):
        def reply(self, messages, sampling):
            if len(self.questions) + 1 == self.die_at:
                raise KeyboardInterrupt  # before the question reaches anybody
            return super().reply(messages, sampling)

    backend = Pulled(die_at=die_at, answer="The face looks happy.\nEmotion: happy")
    first = chain(tmp_path, settings, backend)
    with pytest.raises(KeyboardInterrupt):
        first.run(items)
    first.records.close()
    half = (tmp_path / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(half + b'{"sample": "c/1", "agent": "vis')  # and the disk had half a line more
    backend.die_at = None
    second = chain(tmp_path, settings, backend)
    assert second.records.repaired
    second.run(items)
    replies = [r for r in second.records.all() if r.kind == "model"]
    assert len(backend.questions) == len(replies) == 20 * len(ALL)  # as many as one run asks
    assert sum(r.cost for r in replies) == pytest.approx(100 * (100 * 1.0 + 10 * 2.0) / 1e6)
    assert len({(r.sample, r.agent) for r in replies}) == 100
    assert len(list(read_records(tmp_path / "records.jsonl"))) == 20 * len(AGENTS)


def test_a_real_endpoint_twice(tmp_path):
    """Over HTTP: the project's own server, whose echo cannot do what it is asked, which the records must say."""
    items = samples(tmp_path)
    backend = Counting()
    settings = Settings("e", by_model=ALL)
    with servers.served(backend) as url:
        remote = RemoteBackend(url)
        first = chain(tmp_path, settings, remote)
        first.run(items[:8])
        first.records.close()
        second = chain(tmp_path, settings, remote)
        tally = second.run(items)
        remote.close()
    assert len(backend.questions) == 100 and tally.calls == 60 and tally.failed == 0
    record = next(r for r in second.records.all() if r.agent == "visual")
    assert record.kind == "model" and record.model.startswith("echo") and record.prompt_hash and "Describe the face" in record.prompt
    assert record.prompt_tokens > 0 and record.completion_tokens > 0 and record.cost is None and record.reply.startswith("Turn 1")
    verifier = next(r for r in second.records.all() if r.agent == "verifier")
    assert verifier.notes and all(state in {"supported", "unsupported", "unchecked"} for _, state, _ in verifier.finding["checks"])


def test_a_good_model_and_a_lying_one(tmp_path):
    items = samples(tmp_path, 1)

    def answer(question):
        if "numbered" in question:
            return "1: supported\n2: unsupported"
        if "Join these" in question:
            return "The face looks happy. The corners of the mouth rise. The woman won a prize.\nEmotion: happy"
        return "Something was seen.\nEmotion: happy"

    done = chain(tmp_path, Settings("e", by_model=("consolidator",)), Counting(answer=answer))
    done.run(items)
    [sample] = assemble(items, done, {}).samples
    assert sample.descriptions.multimodal.text == "The face looks happy. The corners of the mouth rise."
    assert "consolidator, verified, prompt" in sample.descriptions.multimodal.origin
    kept = assemble(items, done, {}, keep_unchecked=True).samples[0].descriptions.multimodal.text
    assert kept.endswith("The woman won a prize.")


def test_failures_are_tried_again_recorded_and_counted(tmp_path):
    items = samples(tmp_path, 3)
    backend = Counting(fail=(1, 4, 5, 6), answer="The face looks happy.\nEmotion: happy")
    settings = Settings("e", by_model=("visual",), retries=2)
    first = chain(tmp_path, settings, backend)
    tally = first.run(items)
    assert tally.calls == 3 and tally.failed == 1 and tally.finished == 2 and len(backend.questions) == 6
    [failed] = first.records.failures()
    assert failed.sample == "c/2" and failed.tries == 3 and "overloaded" in failed.error
    assert assemble(items, first, {}).left_out == {"c/2": "visual: overloaded."}
    first.records.close()
    second = chain(tmp_path, settings, backend)
    assert second.run(items).calls == 1 and not second.records.failures() and len(assemble(items, second, {}).samples) == 3


def test_an_endpoint_that_is_down_stops_the_run(tmp_path):
    items = samples(tmp_path)
    backend = Counting(fail=range(1000))
    first = chain(tmp_path, Settings("e", by_model=("visual",), retries=0), backend)
    with pytest.raises(BackendError, match="5 questions in a row"):
        first.run(items)
    assert len(backend.questions) == 5


def test_pauses_grow_and_are_bounded():
    waits = []
    answer = question(Counting(fail=range(9)), "s", "q", tokens=16, retries=3, wait=waits.append)
    assert waits == [1, 2, 4] and answer.tries == 4 and answer.error


def test_a_bad_clip_and_a_sample_without_media_are_told(tmp_path):
    items = samples(tmp_path, 3)
    (tmp_path / "1.mp4").unlink()
    items[2] = replace(items[2], path=None)

    def measure(path):
        if path.name == "0.mp4":
            raise MediaError("no picture and no sound.")
        return SEEN

    done = chain(tmp_path, measure=measure)
    assert done.run(items).failed == 3
    told = assemble(items, done, {}).left_out
    assert "no picture" in told["c/0"] and "1.mp4" in told["c/1"] and "no media" in told["c/2"]


def test_what_decides_a_reply_decides_the_key(tmp_path):
    [item] = samples(tmp_path, 1)
    first = chain(tmp_path)
    keys = first.keys(item)
    first.records.close()
    for settings, changed in (
        (Settings("f"), set(AGENTS)),
        (Settings("e", guided=True), set(AGENTS)),
        (Settings("e", by_model=("audio",)), {"audio", "consolidator", "verifier"}),
        (Settings("e", by_model=("verifier",)), {"verifier"}),
    ):
        other = chain(tmp_path, settings, Counting())
        found = other.keys(item)
        assert {a for a in AGENTS if found[a] != keys[a]} == changed
        other.records.close()


def test_guided_is_refused_for_test_references_and_unknown_labels(tmp_path):
    with pytest.raises(DataError, match=r"20 sample\(s\) are of the split 'test': c/0, c/1, c/2, c/3, c/4 and 15 more"):
        refuse_test(samples(tmp_path, split="test"))
    with pytest.raises(DataError, match="have none: c/0"):
        refuse_test(samples(tmp_path, 1, label="thoughtful"))
    items = samples(tmp_path, 1, label="sadness")
    refuse_test(items)
    backend = Counting(answer="It fits.\nEmotion: sad")
    done = chain(tmp_path, Settings("e", guided=True, by_model=("visual",)), backend)
    done.run(items)
    assert "labelled as sad" in backend.questions[0] and all(r.guided == "sad" for r in done.records.all())
    [sample] = assemble(items, done, {}).samples
    assert "guided by sad" in sample.descriptions.units.origin


def test_estimate_and_budget(tmp_path):
    items = samples(tmp_path)
    backend = Counting(answer="The face looks happy.\nEmotion: happy")
    settings = Settings("e", by_model=("visual", "audio"), prices=Prices(1000.0, 1000.0), budget=0.3)
    done = chain(tmp_path, settings, backend)
    before = estimate(done, items)
    assert before.calls == {"visual": 20, "audio": 20} and before.completion_tokens == 40 * 300 and before.cost > 0 and not before.learnt
    assert not backend.questions
    tally = done.run(items)
    assert "budget" in tally.stopped and len(backend.questions) == 3  # 0.11 a reply
    after = estimate(done, items)
    assert sum(after.calls.values()) == 37 and after.learnt == ("visual", "audio") and after.cost == pytest.approx(37 * 0.11)
    assert any("0.11" in line or "cost" in line for line in after.lines())
    with pytest.raises(DataError, match="needs prices"):
        Settings("e", budget=1.0)


def test_nothing_to_look_at_is_not_asked(tmp_path):
    items = samples(tmp_path, 1)
    backend = Counting()
    done = chain(tmp_path, Settings("e", by_model=ALL), backend, measure=lambda path: clip(faces=()))
    done.run(items)
    assert not backend.questions and "not asked" in done.records.find("c/0", "visual", done.keys(items[0])["visual"]).notes[0]
    [sample] = assemble(items, done, {}).samples
    assert not sample.descriptions.given()


def test_people_stay_and_their_decisions_are_merged(tmp_path):
    old = {"descriptions": {"visual": {"text": "By a person.", "origin": "human"}, "audio": {"text": "Old.", "origin": "model"}}}
    items = samples(tmp_path, 4, **old)
    done = chain(tmp_path)
    done.run(items)
    plain = assemble(items, done, {}).samples
    assert plain[0].descriptions.visual.text == "By a person." and plain[0].descriptions.audio.text != "Old."
    of = text_hash(plain[0].descriptions.multimodal.text)
    decided = {
        "c/0": Decision("c/0", "accept", of), "c/1": Decision("c/1", "correct", of, "They beam."), "c/2": Decision("c/2", "reject", of),
        "c/3": Decision("c/3", "reject", "another"),
    }  # fmt: skip
    kept = tmp_path / "d.jsonl"
    assert merge(decided, kept) == decided == read_decisions(kept)
    written = assemble(items, done, read_decisions(kept))
    accepted, corrected, rejected, stale = written.samples
    assert accepted.descriptions.multimodal.origin.endswith(ACCEPTED)
    assert (corrected.descriptions.multimodal.text, corrected.descriptions.multimodal.origin) == ("They beam.", "human")
    assert rejected.descriptions.multimodal is None and stale.descriptions.multimodal is not None
    assert written.stale == ["c/3"] and written.reviewed == 3
    (tmp_path / "bad.jsonl").write_text(
        '{"sample": "a", "decision": "maybe", "of": "x"}\nnone\n{"sample": "a", "decision": "correct", "of": "x"}\n'
    )
    with pytest.raises(DataError, match=r"3 faulty .*line 1: unknown decision 'maybe'.*line 3: 'a' is to be corrected"):
        read_decisions(tmp_path / "bad.jsonl")


def test_the_review_page_stands_alone(tmp_path):
    items = samples(tmp_path, 2, transcript="</script><script>alert(1)</script> I am so happy today.")
    done = chain(tmp_path)
    done.run(items)
    text = page(assemble(items, done, {}).samples, {i.id: done.found(i) for i in items}, "o.jsonl")
    assert text.count("</script>") == 1 and "http" not in text.split("<style>")[1] and "src=" not in text and "/*DATA*/" not in text
    rows = json.loads(text.split("const data = ")[1].split(";\nconst kept")[0])["rows"]
    assert [row["id"] for row in rows] == ["c/0", "c/1"] and rows[0]["agents"][0][0] == "units"


def test_agreement_counts_only_what_both_tell():
    found = [
        {"visual": Finding("v", emotion="happy"), "audio": Finding("a", emotion="happy")},
        {"visual": Finding("v", emotion="sad"), "audio": Finding("a", emotion="happy")},
        {"visual": Finding("v", emotion="sad"), "audio": Finding("")},
    ]
    [pair] = agreements(found)
    assert (pair.first, pair.second, pair.samples, pair.share, pair.kappa) == ("visual", "audio", 2, 0.5, 0.0)
    assert {(p.first, p.second, p.share) for p in agreements(found, ["happy", "sad", "sad"])} >= {("visual", "label", 1.0)}


def test_replies_in_and_out_of_form():
    finding, notes = heard("They smile.\n**Emotion: Joy**")
    assert (finding.text, finding.emotion, notes) == ("They smile.", "happy", ())
    assert heard("They smile.")[1] and heard("They smile.\nEmotion: unclear")[0].emotion == ""
    rules = verify("The face looks happy. The person is angry.", Measured(SEEN))
    assert judged("1: unsupported\n2: supported", rules)[0].text == ""  # it takes away, and never adds
    same, notes = judged("all fine", rules)
    assert same == rules and "the rules alone decided" in notes[0]
    assert "{transcript}" in ask("transcript", {}, words="say {transcript} {evidence}")[1]  # words are not filled in again


def test_records_are_locked_and_faults_named(tmp_path):
    one = Records(tmp_path / "r.jsonl")
    with pytest.raises(DataError, match="another run"):
        Records(tmp_path / "r.jsonl")
    one.add(Record("a", "units", "k", "local", "m", finding=Finding("x").plain()))
    one.close()
    (tmp_path / "r.jsonl").write_text('{"what": 1}\n')
    with pytest.raises(DataError, match="line 1: no record"):
        Records(tmp_path / "r.jsonl")


def test_a_peak_is_a_frame_of_the_file(clips_folder):
    from emollm.annotation.peak import frame_at

    video = clips_folder / "video.mp4"
    assert frame_at(video, 0.0) == 0 and frame_at(video, 0.5) > frame_at(video, 0.2) > 0
    with pytest.raises(MediaError, match="no picture"):
        frame_at(clips_folder / "sound.wav", 0.0)


def test_folders_need_split_and_licence(clips_folder):
    with pytest.raises(DataError, match="--split and their terms with --licence"):
        items_of(clips_folder)
    with pytest.raises(DataError, match="known: test, train, val"):
        items_of(clips_folder, split="dev", licence="CC0")
    items = items_of(clips_folder, split="test", licence="CC0")
    assert {next(iter(i.row["media"])) for i in items} == {"video", "audio", "image"}
    assert np.all([i.split == "test" for i in items])


def test_a_stopped_run_of_many_is_quick_to_go_on_with(tmp_path):
    items = samples(tmp_path, 300)
    done = chain(tmp_path)
    done.run(items)
    done.records.close()
    start = time.perf_counter()
    again = chain(tmp_path)
    assert again.run(items).measured == 0
    assert time.perf_counter() - start < 5
