"""First step of the curriculum: projected tokens learn to lie near the words they mean, without the language model in the loop.

Minutes of this save hours of teaching the language model a foreign alphabet: a token that lies near "happy" is read as happy at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from emollm.data.features import Seen
from emollm.data.tasks import FER_VOTES
from emollm.model.emotion_model import EmotionModel

SHARPNESS = 12.0  # scale of the cosines before the softmax


def word_directions(model: EmotionModel, tokenizer: object, words: Sequence[str]) -> Tensor:
    """[words, D_llm] unit vectors: the mean embedding of each word as it stands after a space, less the mean of all."""
    table = model.get_input_embeddings().weight.detach().float()
    rows = [table[tokenizer(f" {w}", add_special_tokens=False)["input_ids"]].mean(0) for w in words]  # type: ignore[operator]
    directions = torch.stack(rows)
    directions = directions - directions.mean(0)
    return torch.nn.functional.normalize(directions, dim=1)


def soft_target(seen: Seen, words: Sequence[str]) -> Tensor:
    """[words] what people saw: the share of votes where there are votes, else the label."""
    target = torch.zeros(len(words))
    votes = seen.item.extra.get("votes")
    for name, count in zip(FER_VOTES, votes or (), strict=False):
        if name in words:
            target[words.index(name)] += count
    if target.sum() == 0:
        target[words.index(seen.item.label or "neutral")] = 1
    return target / target.sum()


def anchor(
    model: EmotionModel,
    tokenizer: object,
    seen: Sequence[Seen],
    *,
    learning_rate: float,
    epochs: float,
    seed: int = 0,
    report: Callable[[float, float], None] | None = None,
) -> float:
    """Train projectors and fusers on labelled features.

    Args:
        model: Its language model is only read.
        tokenizer: Of the language model.
        seen: Faces and voices with labels.
        learning_rate: Of AdamW with a cosine schedule.
        epochs: Passes over `seen`.
        seed: Of the order.
        report: Called with the share done and the running loss.

    Returns:
        The last running loss.
    """
    words = sorted({s.item.label or "neutral" for s in seen})
    directions = word_directions(model, tokenizer, words)
    by_label: dict[str, list[Seen]] = {}
    for one in seen:
        if "face" in one.features:
            by_label.setdefault(one.item.label or "neutral", []).append(one)
    parameters = [p for n, p in model.named_parameters() if n.startswith(("projectors.", "fusers."))]
    for p in parameters:
        p.requires_grad_(True)
    batch = 64
    steps = max(1, int(len(seen) * epochs / batch))
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps + 1, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    running = 0.0
    for step in range(steps):
        picks = [seen[int(i)] for i in torch.randint(len(seen), (batch,), generator=generator)]
        losses = []
        for stream in ("face", "voice"):
            part = [s for s in picks if stream in s.features]
            if part and stream in model.streams:
                tokens = torch.stack([s.features[stream].float().mean(0) for s in part])[:, None]
                out, _ = model.projectors[stream](tokens, torch.ones(len(part), 1, dtype=torch.bool))
                losses.append(_loss(out[:, 0], torch.stack([soft_target(s, words) for s in part]), directions))
        voices = [s for s in picks if "voice" in s.features and by_label.get(s.item.label or "")]
        for joint in (s for s in model.recipe.streams if s.fuser is not None and set(s.fuse) == {"face", "voice"}):
            if not voices:
                continue
            faces = [by_label[v.item.label or ""] for v in voices]
            chosen = [f[int(torch.randint(len(f), (1,), generator=generator))] for f in faces]
            both = {
                "face": torch.stack([s.features["face"].float().mean(0) for s in chosen])[:, None],
                "voice": torch.stack([s.features["voice"].float().mean(0) for s in voices])[:, None],
            }
            masks = {n: torch.ones(len(voices), 1, dtype=torch.bool) for n in both}
            out, _ = model.projectors[joint.name](*model.fusers[joint.name](both, masks))
            losses.append(_loss(out[:, 0], torch.stack([soft_target(s, words) for s in voices]), directions))
        loss = torch.stack(losses).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if report is not None and step % 20 == 0:
            report(step / steps, running)
    return running


def _loss(tokens: Tensor, target: Tensor, directions: Tensor) -> Tensor:
    cosines = torch.nn.functional.normalize(tokens.float(), dim=1) @ directions.T
    return -(target * torch.log_softmax(SHARPNESS * cosines, 1)).sum(1).mean()
