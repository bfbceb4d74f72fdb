"""The review page: one HTML file that loads nothing, where a person reads what the agents wrote and accepts, corrects or rejects it.

Clips stay where they are: whoever reviews may open their folder in the page, which plays them from the disk and sends nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from emollm.annotation.decisions import text_hash
from emollm.annotation.finding import OBSERVERS, Finding
from emollm.data.schema import UnifiedSample


def page(samples: Sequence[UnifiedSample], found: Mapping[str, Mapping[str, Finding]], title: str) -> str:
    """The page of some samples.

    Args:
        samples: As written, with people's earlier decisions in them.
        found: Findings by agent, by sample.
        title: Name of the output file.
    """
    rows = []
    for sample in samples:
        whole = sample.descriptions.multimodal
        if whole is None:
            continue
        agents = found.get(sample.id, {})
        checks = agents["verifier"].checks if "verifier" in agents else ()
        rows.append(
            {
                "id": sample.id, "media": list(sample.media.paths()),
                "of": text_hash(whole.text), "text": whole.text, "origin": whole.origin,
                "labels": [t.label for t in sample.tasks if t.label], "transcript": sample.transcript or "", "peak": sample.peak_frame,
                "agents": [[a, agents[a].text, agents[a].emotion] for a in (*OBSERVERS, "consolidator") if a in agents],
                "dropped": [list(c) for c in checks if c[1] != "supported"],
            }
        )  # fmt: skip
    # "</script>" in somebody's words must not end the script
    data = json.dumps({"title": title, "rows": rows}, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return Path(__file__).with_name("review.html").read_text("utf-8").replace("/*DATA*/null", data.replace("\u2029", "\\u2029"))
