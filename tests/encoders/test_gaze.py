import numpy as np
import torch

from emollm.encoders.gaze import BOTTOM, LEFT, RIGHT, TOP, GazeEncoder, sideways, with_gaze
from emollm.encoders.units import WIDTH, UnitEncoder
from emollm.units import INDEX, TOWARDS_LEFT, TOWARDS_RIGHT, UNITS


def test_it_looks_at_the_eyes_and_nothing_else():
    torch.manual_seed(0)
    encoder = GazeEncoder().eval()
    crops = torch.randint(0, 255, (2, 96, 96)).float()
    other = crops.clone()
    other[:, BOTTOM:] = 0
    moved = crops.clone()
    moved[:, TOP:BOTTOM, LEFT:RIGHT] = moved[:, TOP:BOTTOM, LEFT:RIGHT].flip(2)
    with torch.inference_mode():
        assert torch.equal(encoder(crops), encoder(other)) and not torch.equal(encoder(crops), encoder(moved))


def test_units_and_gaze_are_two_forms_of_one_thing():
    gaze = torch.tensor([0.6, -0.4, 0.0])
    units = with_gaze(torch.full((3, len(UNITS)), 0.3), gaze)
    assert torch.allclose(sideways(units), gaze)
    assert units[0, INDEX[TOWARDS_RIGHT[0]]] == 0 and units[1, INDEX[TOWARDS_LEFT[1]]] == 0
    assert units[0, INDEX["jawOpen"]] == 0.3


def test_the_unit_encoder_gives_gaze_beside_its_token():
    encoder = UnitEncoder().eval()
    with torch.inference_mode():
        tokens = encoder(torch.randint(0, 255, (5, 96, 96)), torch.zeros(5, 468, 3))
        units = encoder.units(tokens)
    assert tokens.shape == (5, WIDTH + 1) and units.shape == (5, len(UNITS))
    np.testing.assert_allclose(sideways(units), tokens[:, WIDTH].clamp(-1, 1), atol=1e-6)


def test_it_learns_where_dots_look():
    """Dark dots on a light strip, left or right of the middle."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    encoder = GazeEncoder()
    optimizer = torch.optim.AdamW(encoder.parameters(), 3e-3)

    def faces(count):
        gaze = rng.uniform(-0.5, 0.5, count)
        crops = 200 + rng.normal(0, 5, (count, 96, 96))
        for k, g in enumerate(gaze):
            for middle in (33, 63):  # two eyes
                at = middle + round(8 * g)
                crops[k, 32:37, at - 2 : at + 3] = 40
        return torch.from_numpy(crops).float(), torch.from_numpy(gaze).float()

    for _ in range(60):
        crops, gaze = faces(48)
        loss = ((encoder(crops) - gaze) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    crops, gaze = faces(100)
    with torch.inference_mode():
        found = encoder.eval()(crops)
    assert np.corrcoef(found, gaze)[0, 1] > 0.9
