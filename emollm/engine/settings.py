"""What can be chosen of the engine, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from emollm.errors import BackendError, unknown_name

CoreName = Literal["auto", "torch", "openvino", "vllm"]
Precision = Literal["auto", "float32", "float16", "bfloat16", "int8"]
FAST = "fast"  # what is asked for when answers may differ a little from the exact model's


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Ceilings and choices; the defaults suit one CPU and a small model.

    Raises:
        BackendError: If a name is not known or a number is not positive.
    """

    core: str = "auto"  # "auto" takes openvino where it runs and pays, else torch; "vllm" is another process
    precision: str = (
        "auto"  # of the weights: float16 for openvino; for torch bfloat16 where the processor is fast at it, else as they are held
    )
    threads: int | None = None  # torch's choice if None
    streams: int = 8  # requests that run at once
    waiting: int = 64  # requests that wait for their turn; one more is refused
    memory_mb: int = 1024  # of key-value caches, of what runs and of what is kept together
    prefixes: int = 8  # prompts kept read, the least used goes first
    chunk: int = 128  # positions of new prompts that are read in one step while others are being written to
    chunk_alone: int = 512  # the same while nobody waits for words
    url: str = ""  # of vLLM, up to and including /v1
    key: str = field(default="", repr=False)  # that vLLM was started with
    url_public: bool = False  # send embeddings to a public address too

    @classmethod
    def named(cls, name: str, threads: int | None = None, *, url: str = "", key: str = "", url_public: bool = False) -> EngineSettings:
        """Settings by one word: a core, or "fast" for weights in 8 bits where they can be had; "vllm" with its address, key and leave.

        Raises:
            BackendError: If the word is not known.
        """
        if name == FAST:
            return cls(precision="int8", threads=threads, url=url)
        if name not in get_args(CoreName):
            raise BackendError(unknown_name("engine", name, (*get_args(CoreName), FAST)), code="invalid_request")
        return cls(core=name, threads=threads, url=url, key=key, url_public=url_public)

    def __post_init__(self) -> None:
        for kind, value, known in (("engine", self.core, get_args(CoreName)), ("precision", self.precision, get_args(Precision))):
            if value not in known:
                raise BackendError(unknown_name(kind, value, known), code="invalid_request")
        if bool(self.url) != (self.core == "vllm"):
            wrong = "the engine vllm needs the address it is served at" if self.core == "vllm" else f"the engine {self.core} has no address"
            raise BackendError(f"{wrong}. Give --engine vllm and --engine-url http://127.0.0.1:9000/v1 together.", code="invalid_request")
        for name in ("streams", "waiting", "memory_mb", "chunk", "chunk_alone"):
            if getattr(self, name) < 1:
                raise BackendError(f"{name} of the engine must be at least 1, not {getattr(self, name)}.", code="invalid_request")


EXACT = EngineSettings(core="torch", precision="float32")  # the weights as they are held: what results are measured with
