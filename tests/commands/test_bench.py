import pytest

from emollm import weights
from emollm.commands import bench
from emollm.media.decode import Limits, Reel


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return bench.make_clip(tmp_path_factory.mktemp("bench") / "clip.mp4", seconds=43, width=160, height=90)


def test_a_long_clip_is_the_sample_again_and_again(clip):
    reel = Reel(clip, Limits(frames=None, fps=2))
    times = [t for t, _ in reel.frames()]
    assert reel.duration_s == pytest.approx(43, abs=0.3) and not reel.warnings
    assert len(times) == pytest.approx(86, abs=2) and times == sorted(times)
    assert len(reel.audio) / 16_000 == pytest.approx(43, abs=0.3)
    assert not list(clip.parent.glob("part-*"))


@pytest.mark.skipif(not weights.ready("mediapipe-face"), reason="needs `emollm weights pull mediapipe-face`")
def test_the_measuring_layer_reports_its_stages(clip):
    found = bench.measure_alone(clip, "emollm", "toy", 1)
    assert found["clip_seconds"] == pytest.approx(43, abs=0.3)
    assert found["measured"] >= max(found["speech"], found["faces"]) > 0
    assert found["real_time_factor"] == pytest.approx(found["measured"] / found["clip_seconds"])
    assert found["peak_memory_gb"] >= found["peak_memory_gb_before"] > 0


def test_the_engine_is_measured_against_plain_generation():
    found = bench.measure_decoding("emollm", "toy", 1)
    assert found["top_token_agreement"] == 1.0
    rates = [n for n in found if n.endswith("tokens_per_s")]
    assert len(rates) >= 6 and all(found[n] > 0 for n in rates)
    assert found["engine_against_transformers_generate_8"] > 0
