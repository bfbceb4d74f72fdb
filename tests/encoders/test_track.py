import numpy as np
import pytest
import torch

from emollm.encoders.track import BLOCK, OVERLAP, TrackEncoder
from emollm.encoders.units import WIDTH, UnitEncoder
from emollm.training.track_encoder import Tracks, train_track
from emollm.units import INDEX, UNITS


def stirred():
    """A track encoder that corrects something."""
    torch.manual_seed(0)
    part = TrackEncoder(WIDTH)
    torch.nn.init.normal_(part.correct.weight)
    return part.eval()


def test_it_starts_as_no_correction():
    encoder = UnitEncoder().eval()
    tokens = torch.randn(6, WIDTH + 1)
    with torch.inference_mode():
        assert torch.equal(encoder.units(tokens), encoder.units(tokens, torch.arange(6) / 8))


def test_frames_far_apart_do_not_see_each_other():
    part, tokens = stirred(), torch.randn(1, 20, WIDTH)
    times = torch.arange(20)[None] / 8.0
    changed = tokens.clone()
    changed[0, 19] += 5
    with torch.inference_mode():
        difference = (part(tokens, times) - part(changed, times))[0].abs().sum(1)
    # two layers of a second and a half each
    assert difference[18] > 0.1 and torch.equal(
        difference[times[0] < 19 / 8 - 3.01], torch.zeros_like(difference[times[0] < 19 / 8 - 3.01])
    )
    far = times.clone()
    far[0, 10:] += 60
    with torch.inference_mode():
        assert torch.allclose(part(tokens, far)[0, :10], part(tokens[:, :10], times[:, :10])[0], atol=1e-5)


def test_long_tracks_are_read_in_blocks_that_do_not_show():
    part, frames = stirred(), 2 * BLOCK + 30
    tokens, times = torch.randn(frames, WIDTH), torch.arange(frames) / 8.0
    with torch.inference_mode():
        whole, blocks = part(tokens[None], times[None])[0], part.whole(tokens, times)
    assert blocks.shape == (frames, len(UNITS)) and OVERLAP / 8 >= 3
    assert torch.allclose(whole, blocks, atol=1e-3)


def test_neighbours_teach_what_a_frame_alone_does_not_show():
    """Each frame shows its unit with so much noise that only several together tell it."""
    rng = np.random.default_rng(0)
    track = np.repeat(np.arange(60), 32)
    level = np.repeat(rng.uniform(0, 1, 60), 32)
    units = np.zeros((len(track), len(UNITS)), np.float32)
    units[:, INDEX["jawOpen"]] = level
    tokens = torch.from_numpy(rng.normal(0, 1, (len(track), WIDTH + 1)).astype(np.float32))
    tokens[:, 0] += torch.from_numpy(2 * level.astype(np.float32))
    times = np.tile(np.arange(32) / 8, 60)
    torch.manual_seed(0)
    encoder = UnitEncoder().eval()
    with torch.no_grad():  # an encoder that knows that nothing else moves, and nothing of the jaw
        encoder.unit.weight.zero_()
        encoder.unit.bias.fill_(-9)
        encoder.unit.bias[INDEX["jawOpen"]] = 0
    trained = train_track(encoder, Tracks(tokens, times, units, track), steps=150, seed=0, say=lambda *_: None, batch=16)
    with torch.inference_mode():
        found = np.concatenate([trained.units(tokens[track == k], torch.arange(32) / 8)[:, INDEX["jawOpen"]].numpy() for k in range(60)])
    assert np.corrcoef(found, level)[0, 1] > 0.75 > np.corrcoef(tokens[:, 0].numpy(), level)[0, 1] == pytest.approx(0.5, abs=0.1)
