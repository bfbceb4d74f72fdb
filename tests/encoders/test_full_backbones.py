"""Backbones of the published systems: shapes and times from tiny random ones, sizes of the real ones without their weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from emollm.encoders.base import BACKBONES, FACE_PX, Look, spread
from emollm.encoders.pictures import HALF_NORM, prepared, square
from emollm.encoders.pretrained import fill
from emollm.errors import CheckpointError, RecipeError
from emollm.lazy import resolve

KINDS = ("clip", "eva", "siglip", "hubert", "whisper-encoder", "facexformer")  # the published ones; ours are tested elsewhere


def backbone(kind: str) -> Any:
    return resolve("backbone", kind, BACKBONES)


def look(pictures: int = 5, seconds: float | None = 3.0, seen: tuple[int, ...] = (1, 3), seed: int = 0) -> Look:
    rng = np.random.default_rng(seed)
    there = np.zeros(pictures, bool)
    there[[i for i in seen if i < pictures]] = True
    crops = rng.integers(0, 256, (pictures, FACE_PX, FACE_PX, 3), dtype=np.uint8)
    crops[~there] = 0
    audio = None if seconds is None else rng.normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)
    return Look(
        frames=rng.integers(0, 256, (pictures, 48, 64, 3), dtype=np.uint8),
        times_s=np.arange(pictures) * 0.5,
        crops=crops,
        landmarks=np.full((pictures, 468, 3), np.nan),
        points=np.zeros((pictures, 468, 3)),
        seen=there,
        audio=audio,
    )


def tiny(kind: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return backbone(kind).from_config(tiny=True, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_what_it_names_with_times(kind: str) -> None:
    net = tiny(kind)
    out = net(look())
    assert out.keys() == net.gives.keys()
    for name, (rows, times) in out.items():
        assert rows.dtype == torch.float32 and rows.ndim == 2 and rows.isfinite().all()
        assert rows.shape[1] == net.gives[name] and len(times) == len(rows)
        assert not rows.requires_grad
    assert not any(p.requires_grad for p in net.parameters()) and not net.training


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_see_or_hear_gives_nothing(kind: str) -> None:
    assert tiny(kind)(look(pictures=0, seconds=None)) == {}


def test_unknown_kinds_list_the_known() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'siglip'"):
        resolve("backbone", "sigclip", BACKBONES)


def test_outputs_have_the_published_lengths() -> None:
    assert {k: len(v[0]) for k, v in tiny("clip")(look(20)).items()} == {"frames": 8, "depths": 8}
    eva = tiny("eva")(look(20))
    assert len(eva["whole"][0]) == 1 and len(eva["grid"][0]) == 64
    assert {k: len(v[0]) for k, v in tiny("hubert")(look(0)).items()} == {"clips": 8, "depths": 8}
    assert {k: len(v[0]) for k, v in tiny("whisper-encoder")(look(0)).items()} == {"line": 64, "clips": 8, "depths": 8}
    siglip = tiny("siglip")(look(20))
    assert {k: len(v[0]) for k, v in siglip.items()} == {"grid": 64, "face": 2, "face-depths": 2}
    assert siglip["face"][1] == (0.5, 1.5)


def test_spread_takes_evenly_and_fills_with_the_last() -> None:
    assert spread(20, 8) == [0, 2, 5, 7, 10, 12, 15, 17]
    assert spread(3, 5) == [0, 1, 2, 2, 2]
    assert spread(3, 5, fill=False) == [0, 1, 2]
    assert spread(0, 5) == []


SIZES = {  # parameters of the real networks, in millions
    "clip": 303.18,
    "eva": 985.95,
    "siglip": 428.23,
    "hubert": 315.44,
    "whisper-encoder": 637.0,
    "facexformer": 87.5,
}
WIDTHS = {
    "clip": {"frames": 1024, "depths": 3072},
    "eva": {"image": 5632, "whole": 1408, "grid": 1408},
    "siglip": {"grid": 1152, "face": 1152, "face-depths": 4608},
    "hubert": {"clips": 1024, "depths": 3072},
    "whisper-encoder": {"line": 1280, "clips": 1280, "depths": 3840},
    "facexformer": {"face": 256, "face-depths": 1024},
}


@pytest.mark.parametrize("kind", KINDS)
def test_real_sizes(kind: str) -> None:
    with torch.device("meta"):
        net = backbone(kind).from_config()
    assert net.gives == WIDTHS[kind]
    count = sum(p.numel() for p in net.parameters())
    assert count / 1e6 == pytest.approx(SIZES[kind], abs=0.05), count


def test_facexformer_counts_as_published_with_its_index_tables() -> None:
    with torch.device("meta"):
        net = backbone("facexformer").from_config()
    # the published checkpoint also stores a 49 x 49 table of window positions in each of its 24 blocks, which makes 87.6 M numbers
    assert sum(p.numel() for p in net.parameters()) + 24 * 49**2 == 87_555_536
    assert net.linear_fuse.weight.shape == (256, 1024, 1, 1) and net.linear_fuse.bias is None


def test_eva_groups_patches_in_rows_or_squares() -> None:
    rows, squares = tiny("eva"), tiny("eva", join="square")
    patches = torch.arange(16.0)[:, None]
    assert rows._joined(patches)[0].tolist() == [0, 1, 2, 3]
    assert squares._joined(patches).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    with pytest.raises(CheckpointError, match="whole groups of four"):
        tiny("eva", px=42)


def test_eva_video_cells_stay_in_their_quarter_and_time() -> None:
    net = tiny("eva", frames=4)
    plain = look(4)
    changed = replace(plain, frames=plain.frames.copy())
    changed.frames[2] = 255 - changed.frames[2]
    moved = (net(changed)["grid"][0] != net(plain)["grid"][0]).any(1)
    assert moved.tolist() == [False] * 8 + [True] * 4 + [False] * 4
    assert net(plain)["grid"][1] == tuple(t for t in (0.0, 0.5, 1.0, 1.5) for _ in range(4))


def test_pyramid_shortcut_is_the_published_computation() -> None:
    net = tiny("facexformer")
    clip = look()
    x = prepared(clip.crops[[1, 3]], 64, ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        torch.testing.assert_close(net(clip)["face"][0], net.pyramid(x).mean((2, 3)), rtol=1e-4, atol=1e-5)
        assert [tuple(m.shape[1:]) for m in net.stages(x)] == [(16, 16, 16), (32, 8, 8), (64, 4, 4), (128, 2, 2)]


def test_whole_pictures_as_released() -> None:
    net = tiny("facexformer", crop="frame", normalise=False, frames=8)
    rows, times = net(look(3, seen=()))["face"]
    assert rows.shape == (8, 16) and times == (0.0, 0.5, *[1.0] * 6)
    assert tiny("facexformer")(look(3, seen=())) == {}


def test_hubert_stretches_do_not_disturb_each_other_and_silence_counts_nowhere() -> None:
    net = tiny("hubert")
    long = look(0, 6.0)
    assert net(long)["clips"][1] == pytest.approx(np.linspace(0, 4, 8))
    louder = replace(long, audio=long.audio * np.where(np.arange(96_000) < 80_000, 1, 9).astype(np.float32))  # type: ignore[operator]
    moved = (net(louder)["clips"][0] - net(long)["clips"][0]).abs().amax(1) > 1e-6
    assert moved.tolist() == [bool(s + 2 > 5) for s in np.linspace(0, 4, 8)]
    short = look(0, 1.0)
    alone = torch.from_numpy((short.audio - short.audio.mean()) / np.sqrt(short.audio.var() + 1e-7))[None]  # type: ignore[union-attr, operator]
    with torch.inference_mode():
        states = net.net(alone, output_hidden_states=True).hidden_states
    rows = net(short)["clips"][0]
    torch.testing.assert_close(rows[:1], torch.stack(states[-4:]).mean(0).mean(1), rtol=1e-3, atol=1e-3)
    assert (rows == rows[:1]).all()


@pytest.mark.parametrize("kind", ["hubert", "whisper-encoder"])
@pytest.mark.parametrize("samples", [1, 300, 4000])
def test_very_short_sounds(kind: str, samples: int) -> None:
    for rows, _ in tiny(kind)(look(0, samples / 16_000)).values():
        assert rows.isfinite().all()


def test_whisper_pools_over_sound_or_over_the_padded_half_minute() -> None:
    clip = look(0, 3.0)
    ours, released = tiny("whisper-encoder"), tiny("whisper-encoder", padded=True)
    assert ours(clip)["line"][1][1] == pytest.approx(3 / 64) and released(clip)["line"][1][1] == pytest.approx(30 / 64)
    short, whole = ours._states(clip.audio)[-1], ours._states(clip.audio, whole=True)[-1]
    assert short.shape == (200, 32) and whole.shape == (1500, 32)  # three seconds and one of silence; half a minute
    torch.testing.assert_close(ours(clip)["line"][0], nn.functional.adaptive_avg_pool1d(short[:150].T[None], 64)[0].T)
    torch.testing.assert_close(released(clip)["line"][0], nn.functional.adaptive_avg_pool1d(whole.T[None], 64)[0].T)


def test_hidden_states_are_those_of_the_library() -> None:
    """Our way through the layers, which allows short windows, against transformers' own over half a minute."""
    line, clip = tiny("whisper-encoder"), look(0, 3.0)
    mel = line.mel(clip.audio, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.inference_mode():
        theirs = line.net(mel, output_hidden_states=True)
        ours = line._states(clip.audio, whole=True)
    torch.testing.assert_close(ours[:-1], torch.cat(theirs.hidden_states[:-1]), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(ours[-1], theirs.last_hidden_state[0], atol=1e-4, rtol=1e-3)


def test_whisper_hears_more_than_half_a_minute() -> None:
    out = tiny("whisper-encoder")(look(0, 40.0))
    assert out["line"][1][-1] == pytest.approx(40 * 63 / 64)
    assert out["clips"][1][-1] == 38.0
    assert tiny("whisper-encoder").taps == (3, 3, 4)


def test_clip_takes_the_states_it_names() -> None:
    net = tiny("clip")
    clip = look(8)
    x = prepared(clip.frames, 56, ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)))
    with torch.inference_mode():
        states = net.net(x, output_hidden_states=True).hidden_states
        out = net(clip)
    torch.testing.assert_close(out["frames"][0], states[-2][:, 0])
    torch.testing.assert_close(out["depths"][0], torch.cat([states[n][:, 0] for n in (1, 2, 3)], 1))
    with pytest.raises(CheckpointError, match="4 layers only"):
        tiny("clip", layers=(12, 16, 22))


def test_squares() -> None:
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = 200
    assert (square(picture, 10, squash=False) == 200).all()
    assert square(picture, 10)[:, 0].max() == 0 and square(picture, 10).max() == 200
    assert prepared(picture[None], 10, None).max() == 200
    assert prepared(picture[None], 10, HALF_NORM).min() == -1


def test_folders_of_transformers_load_strictly(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel, CLIPVisionModel

    net = tiny("clip")
    whole = CLIPModel(
        CLIPConfig(
            text_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99},
            vision_config=net.net.config.to_dict(),
            projection_dim=8,
        )
    )
    whole.vision_model.load_state_dict({k.removeprefix("vision_model."): v for k, v in net.net.state_dict().items()})
    whole.save_pretrained(tmp_path / "whole")
    again = type(net).from_folder(tmp_path / "whole", layers=(1, 2, 3))
    torch.testing.assert_close(again(look())["depths"][0], net(look())["depths"][0])
    half = type(net).from_folder(tmp_path / "whole", layers=(1, 2, 3), dtype=torch.bfloat16)
    assert half(look())["depths"][0].dtype == torch.float32
    assert isinstance(again.net, CLIPVisionModel)
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        type(net).from_folder(tmp_path)
    from safetensors.torch import load_file, save_file

    state = load_file(tmp_path / "whole" / "model.safetensors")
    gone = next(k for k in state if "vision_model.encoder.layers.1" in k)
    save_file({k: v for k, v in state.items() if k != gone}, tmp_path / "whole" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="lacks 1 tensors of CLIPVisionModel"):
        type(net).from_folder(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["siglip", "hubert", "eva"])
def test_saved_towers_come_back(kind: str, tmp_path: Path) -> None:
    net = tiny(kind)
    net.net.save_pretrained(tmp_path)
    options = {"hubert": {"layers": (1, 2, 3)}, "eva": {"px": 56}}.get(kind, {})
    again = type(net).from_folder(tmp_path, **options)
    for name, (rows, _) in net(look()).items():
        torch.testing.assert_close(again(look())[name][0], rows)


def test_whisper_folders_give_their_encoder(tmp_path: Path) -> None:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    net = tiny("whisper-encoder")
    config = net.net.config.to_dict() | {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "vocab_size": 60}
    config |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "suppress_tokens": None}
    config |= {"begin_suppress_tokens": None}
    whole = WhisperForConditionalGeneration(WhisperConfig(**config))
    whole.model.encoder.load_state_dict(net.net.state_dict())
    whole.save_pretrained(tmp_path)
    torch.testing.assert_close(type(net).from_folder(tmp_path)(look())["line"][0], net(look())["line"][0])


def test_misfits_are_counted_and_named() -> None:
    net = nn.Linear(2, 3)
    with pytest.raises(CheckpointError, match=r"3 faults, first bias is missing; extra is not known .* \(3, 3\), not \(3, 2\)"):
        fill(net, {"weight": torch.zeros(3, 3), "extra": torch.zeros(1)}, "x.safetensors")
