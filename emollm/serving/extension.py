"""What our answers carry beside OpenAI's fields: the measurements of the clips, in the shape `exports.report` gives them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from emollm.chat.backend import ChatBackend
from emollm.chat.wire import measurements, plain
from emollm.exports import report
from emollm.serving.answers import AnalyzeResponse, Extension
from emollm.serving.media import Received
from emollm.values import Analysis


def evidence_json(analysis: Analysis) -> dict[str, Any]:
    """Evidence, timeline, transcript and timings of one clip, with nothing that JSON does not know."""
    return {
        "evidence": plain(report.evidence(analysis)),
        "timeline": plain(report.timeline(analysis)),
        "transcript": plain(report.transcript(analysis)),
        "timings_s": plain(analysis.timings_s),
    }


def warnings_of(backend: ChatBackend, request: Received) -> list[str]:
    """Warnings about all clips of a request, each once."""
    found: dict[str, None] = {}
    for path in request.claims:
        analysis = backend.analyze(path)
        found |= dict.fromkeys([*request.mismatches(path, analysis), *analysis.warnings])
    return list(found)


def extension_of(backend: ChatBackend, request: Received, timings_s: Mapping[str, float]) -> Extension:
    """The extension object of a reply; the clips have been measured for it, so this costs a look into the cache."""
    newest = [message.clips[-1] for message in request.messages if message.clips][-1:]
    said: dict[str, Any] = {"evidence": None, "timeline": [], "transcript": None, "timings_s": {}}
    if newest:
        said = evidence_json(backend.analyze(newest[0]))
    said["timings_s"] = said["timings_s"] | plain(timings_s)
    return Extension(system=backend.system, scale=backend.scale, warnings=warnings_of(backend, request), **said)


def analysis_response(backend: ChatBackend, request: Received, model: str, *, everything: bool) -> AnalyzeResponse:
    """The answer to an analyze request, which holds one clip."""
    (path,) = request.claims
    analysis = backend.analyze(path)
    return AnalyzeResponse(
        id=f"analysis-{uuid.uuid4().hex}",
        model=model,
        kind=analysis.kind,
        digest=analysis.digest,
        duration_s=analysis.duration_s,
        warnings=warnings_of(backend, request),
        measurements=measurements(analysis) if everything else None,
        **evidence_json(analysis),
    )
