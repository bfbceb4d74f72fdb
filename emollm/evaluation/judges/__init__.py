"""Who says whether an event of one caption follows from another's: rules, a sentence encoder, or a chat model, behind one protocol."""

from __future__ import annotations

from pathlib import Path

from emollm.errors import EmollmError
from emollm.evaluation.judges.scoring import judge_results
from emollm.evaluation.judges.verdict import Judge, Verdict

__all__ = ["JUDGES", "Judge", "Verdict", "judge_of", "judge_results"]
JUDGES = ("rules", "embedding", "endpoint")


def judge_of(name: str, *, url: str | None = None, model: str | None = None, records: Path | None = None, replay: bool = False) -> Judge:
    """A judge by name.

    Args:
        name: One of `JUDGES`.
        url: Of the endpoint.
        model: Its model id; for `embedding` a folder with a sentence encoder.
        records: Where the endpoint's requests and replies are kept.
        replay: Take replies from `records` alone.

    Raises:
        EmollmError: Unknown name, or something the judge needs is missing.
    """
    if name == "rules":
        from emollm.evaluation.judges.rules import RulesJudge

        return RulesJudge()
    if name == "embedding":
        from emollm.evaluation.judges.embedding import EmbeddingJudge, encoder_folder

        return EmbeddingJudge(encoder_folder(model))
    if name == "endpoint":
        from emollm.evaluation.judges.endpoint import endpoint_judge

        return endpoint_judge(url, model, records, replay=replay)
    raise EmollmError(f"--judge {name}: choose from {', '.join(JUDGES)}.")
