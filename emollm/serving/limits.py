"""What one server takes on at once and from one request."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings of a server; beyond them a request is refused with 400, 413 or 429, never silently cut."""

    parallel: int = 8  # requests worked on at the same time; the engine writes their replies together
    queue: int = 8  # requests waiting for their turn; one more is answered 429
    body_bytes: int = 64 * MIB
    messages: int = 100  # in one request
    clips: int = 4  # in one request, all turns together
    labels: int = 256  # in one request for scores
    new_tokens: int = 4096  # a larger `max_tokens` is taken as this
    keepalive_s: float = 5.0  # silence before a stream sends a comment; faults found earlier still get their own status
    upload_s: float = 120.0  # to send the body
    answer_s: float = 900.0  # from arrival to the last token
