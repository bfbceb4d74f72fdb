"""The judge by rules: the relation of two movements, from part, direction, side and time. Deterministic and free."""

from __future__ import annotations

from collections.abc import Sequence

from emollm.evaluation.events import Movement, relation
from emollm.evaluation.judges.verdict import Verdict


class RulesJudge:
    """See `events.relation`."""

    name = "rules"

    def judge(self, premises: Sequence[Movement], claims: Sequence[Movement]) -> list[Verdict]:
        """See Judge."""
        found = []
        for claim in claims:
            said = [relation(premise, claim) for premise in premises]
            by = tuple(k for k, r in enumerate(said) if r == "entailed")
            found.append(Verdict("entailed", by) if by else Verdict("contradicted" if "contradicted" in said else "neutral"))
        return found
