import pytest
import torch

from emollm.encoders.eight_bits import EightBitLinear, in_eight_bits
from emollm.processor import fast_eight_bits

pytestmark = pytest.mark.skipif(not fast_eight_bits(), reason="this processor has no products of 8-bit numbers")


def test_a_rounded_layer_gives_nearly_the_same():
    torch.manual_seed(0)
    exact = torch.nn.Linear(256, 64)
    with torch.no_grad():
        exact.weight[3] *= 100  # a large row must not spoil the others
    x = torch.randn(3, 5, 256)
    wanted, found = exact(x), EightBitLinear(exact)(x)
    assert found.shape == wanted.shape and found.dtype == torch.float32
    error = (found - wanted).abs().amax((0, 1)) / wanted.abs().amax((0, 1))
    assert 0 < error.max() < 0.02


def test_all_layers_of_a_network_are_replaced_and_a_single_one_too():
    network = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Sequential(torch.nn.GELU(), torch.nn.Linear(8, 4, bias=False)))
    x = torch.randn(2, 8)
    wanted = network(x)
    rounded = in_eight_bits(network)
    assert not [m for m in rounded.modules() if isinstance(m, torch.nn.Linear)]
    assert torch.allclose(rounded(x), wanted, atol=0.05)
    assert isinstance(in_eight_bits(torch.nn.Linear(4, 4)), EightBitLinear)
