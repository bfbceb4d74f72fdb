"""What one server takes on at once and from one request: every ceiling there is, in one table."""

from __future__ import annotations

from dataclasses import dataclass

from emollm.media.guarded import Confinement

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings of a server; beyond them a request is refused with 400, 408, 413, 429 or 504, never silently cut."""

    # At once
    parallel: int = 8  # requests worked on at the same time; the engine writes their replies together
    queue: int = 8  # requests waiting for their turn; one more is answered 429
    held_bytes: int = 512 * MIB  # of all JSON bodies being read and answered together; one more is answered 429
    # One request
    header_s: float = 15.0  # to send the head of a request; the connection is closed after that
    upload_s: float = 120.0  # to send the body
    body_bytes: int = 64 * MIB  # of JSON
    messages: int = 100
    clips: int = 4  # all turns together
    text_chars: int = 400_000  # all turns together; the model reads far less, and what it reads is counted exactly
    labels: int = 256  # in one request for scores
    choices: int = 4  # `n`
    top_logprobs: int = 20
    schema_chars: int = 32_768  # of a JSON schema that the answer must follow
    new_tokens: int = 4096  # a larger `max_tokens` is taken as this
    keepalive_s: float = 5.0  # silence before a stream sends a comment; faults found earlier still get their own status
    answer_s: float = 900.0  # from arrival to the last token
    # Clips
    clip_s: float = 600.0  # length, by the file's own claim; what is longer in truth is read up to here
    decode_s: float = 120.0  # wall time in which the decoding process must have read a clip
    decode_memory_mb: int = 3072  # address space of the decoding process
    # Uploads, of one API key
    file_bytes: int = 256 * MIB
    files: int = 64
    files_bytes: int = 2048 * MIB
    keep_s: float = 3600.0  # uploads and results of analyses are deleted after that
    # Analyses
    job_clips: int = 32  # in one job
    jobs: int = 16  # of one API key that are not finished; one more is answered 429
    # Remote addresses, where they are allowed
    fetch_s: float = 30.0
    fetch_bytes: int = 64 * MIB
    redirects: int = 3
    # The end
    grace_s: float = 30.0  # for what runs when the server is told to stop

    @property
    def confinement(self) -> Confinement:
        """Of a process that decodes clips."""
        return Confinement(wall_s=self.decode_s, cpu_s=2 * self.decode_s, memory_mb=self.decode_memory_mb, seconds=self.clip_s)
