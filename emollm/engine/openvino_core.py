"""The fast core for the processor: an exported Llama over one pool of cache blocks, shared by sequences that begin alike.

A sequence is a table of blocks of 32 positions. Keeping one copies nothing: a block that two tables name is copied when one of them writes
into it. All sequences of a step, long prompts and single tokens alike, are one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emollm.engine.core import Work
from emollm.engine.openvino_export import WANTED, exported, paged

BLOCK = 32


@dataclass(eq=False, slots=True)
class Table:
    """A sequence: its blocks in order and how many positions they hold."""

    length: int = 0
    blocks: list[int] = field(default_factory=list)


class OpenvinoCore:
    """A plain Llama on the processor.

    Args:
        causal: The merged language model.
        precision: "float16" rounds weights only, which changes next to nothing; "bfloat16" also computes so where the processor can; "int8"
            rounds more, and what goes into a product as well; "float32" rounds nothing.
        threads: OpenVINO's choice if None.
        memory_mb: Size of the pool; its memory is taken only as blocks are first used.
        folder: Where exports are kept; the user's cache folder if None.

    Raises:
        ValueError: If the model is no plain Llama.
        ImportError: If openvino is not installed.
        OSError: If the export cannot be written.
        RuntimeError: If OpenVINO cannot run the model here.
    """

    name = "openvino"
    granule = BLOCK
    crops = True

    def __init__(
        self, causal: Any, *, precision: str = "float16", threads: int | None = None, memory_mb: int = 1024, folder: Path | None = None
    ) -> None:
        self.precision = precision
        self._words = causal.get_input_embeddings().weight
        path = exported(causal, {"int8": "int8", "float16": "fp16", "bfloat16": "fp16", "float32": "fp32"}[precision], folder)  # type: ignore[arg-type]
        self._caches: list[Any] = []
        self._refs = np.zeros(0, np.int32)
        self._free: list[int] = []
        ways = _ways(precision, threads)
        for i, options in enumerate(ways):
            try:
                self._start(path, options, memory_mb, causal.config.max_position_embeddings)
                return
            except RuntimeError:
                if i == len(ways) - 1:
                    raise

    def _start(self, path: Path, options: dict[str, Any], memory_mb: int, longest: int) -> None:
        """Compile, make the pool, and try one pass: some processors refuse only then."""
        import openvino as ov

        self._request = ov.Core().compile_model(paged(path), "CPU", options).create_infer_request()
        self._allocate(memory_mb, longest)
        probe = self.open()
        self.forward([(probe, self.embed([0, 0]))])
        self.close(probe)

    def _allocate(self, memory_mb: int, longest: int) -> None:
        import openvino as ov

        found = []
        for port in self._request.get_compiled_model().inputs:
            name = port.get_any_name()
            if "cache" in name:
                dims = [d.get_length() for d in list(port.get_partial_shape())[1:]]
                found.append((name, dims, port.get_element_type()))
        self.position_bytes = sum(int(np.prod(dims)) * kind.size for _, dims, kind in found) // BLOCK
        positions = max(memory_mb * 2**20 // self.position_bytes, min(longest, 8192))  # always room for one long request
        blocks = int(positions) // BLOCK + 2 * BLOCK
        self._caches = []
        for name, dims, kind in found:
            tensor = ov.Tensor(kind, ov.Shape([blocks, *dims]))
            self._request.set_tensor(name, tensor)
            self._caches.append(tensor.data)  # a view
        self._refs = np.zeros(blocks, np.int32)
        self._free = list(range(blocks - 1, -1, -1))  # the lowest first, so that memory in use stays together

    def embed(self, ids: Sequence[int]) -> Tensor:
        """See Core."""
        return self._words[torch.tensor(ids)].detach()

    def open(self) -> Table:
        """See Core."""
        return Table()

    def forward(self, work: Sequence[Work]) -> Tensor:
        """See Core."""
        for table, embeds in work:
            self._grow(table, len(embeds))
        lengths = [len(embeds) for _, embeds in work]
        ends = np.cumsum(lengths, dtype=np.int32)
        positions = [np.arange(table.length, table.length + n) for (table, _), n in zip(work, lengths, strict=True)]
        self._request.infer(
            {
                "inputs_embeds": torch.cat([e.detach().float().cpu() for _, e in work]).numpy(),
                "position_ids": np.concatenate(positions).astype(np.int64),
                "past_lens": np.array([table.length for table, _ in work], np.int32),
                "subsequence_begins": np.concatenate([[0], ends]).astype(np.int32),
                "block_indices": np.concatenate([table.blocks for table, _ in work]).astype(np.int32),
                "block_indices_begins": np.cumsum([0, *(len(table.blocks) for table, _ in work)]).astype(np.int32),
                "max_context_len": np.array(max(int(p[-1]) + 1 for p in positions), np.int32),
                WANTED: ends - 1,
            }
        )
        for (table, _), n in zip(work, lengths, strict=True):
            table.length += n
        return torch.from_numpy(self._request.get_tensor("logits").data.reshape(len(work), -1).copy())

    def keep(self, sequence: Table) -> Table:
        """See Core."""
        return self.resume(sequence, sequence.length)

    def resume(self, kept: Table, length: int) -> Table:
        """See Core."""
        blocks = kept.blocks[: -(-length // BLOCK)]
        self._refs[blocks] += 1
        return Table(length, blocks)

    def close(self, sequence: Table) -> None:
        """See Core."""
        for block in sequence.blocks:
            self._refs[block] -= 1
            if self._refs[block] == 0:
                self._free.append(block)
        sequence.blocks = []

    def reset(self) -> None:
        """See Core."""
        self._refs[:] = 0
        self._free = list(range(len(self._refs) - 1, -1, -1))

    def _grow(self, table: Table, new: int) -> None:
        """Blocks for new positions; a last block that others read too is copied first."""
        if table.length % BLOCK and self._refs[table.blocks[-1]] > 1:
            shared, own = table.blocks[-1], self._take()
            for cache in self._caches:
                cache[own] = cache[shared]
            self._refs[shared] -= 1
            table.blocks[-1] = own
        while len(table.blocks) * BLOCK < table.length + new:
            table.blocks.append(self._take())

    def _take(self) -> int:
        if not self._free:
            raise RuntimeError("the pool of cache blocks is empty")
        block = self._free.pop()
        self._refs[block] = 1
        return block


def fast_at_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware."""
    import openvino as ov

    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _ways(precision: str, threads: int | None) -> list[dict[str, Any]]:
    """Options to try in turn."""
    half = precision == "bfloat16" and fast_at_bfloat16()
    # Blocks are shared and copied as they are, so caches hold plain numbers; the default rounds keys across the positions of a block.
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "KV_CACHE_PRECISION": "bf16" if half else "f32" if precision == "float32" else "f16",
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    if precision != "int8":
        return [options]
    # Processors without wide vector instructions may lack the products of grouped 8-bit activations.
    return [options, options | {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}]
