import pytest

from emollm import weights
from emollm.chat.echo import EchoBackend
from emollm.commands import bench, bench_page, bench_report
from emollm.errors import EmollmError
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


def test_the_server_is_measured_with_one_and_eight_clients():
    from emollm.commands.bench_serve import measure_serving

    found = measure_serving(EchoBackend(delay_s=0.001), tokens=8)
    assert found["tokens_per_s_of_8"] > 0 and 0 < found["first_piece_p50_of_8_s"] <= found["first_piece_p95_of_8_s"]
    assert 0 < found["gap_p50_of_8_s"] <= found["gap_p95_of_8_s"]


@pytest.mark.slow
@pytest.mark.skipif(not weights.ready("smollm2-135m-instruct"), reason="needs `emollm weights pull smollm2-135m-instruct`")
def test_transformers_own_server_is_measured_beside_it():
    from emollm.commands.bench_serve import measure_transformers_serve

    found = measure_transformers_serve(weights.locate("smollm2-135m-instruct"), tokens=6)
    assert found["transformers_serve_tokens_per_s_alone"] > 0 and found["transformers_serve_tokens_per_s_of_8"] > 0


def test_reports_are_written_read_and_compared(tmp_path):
    told = bench_report.machine()
    assert told["cores"] >= 1 and told["torch"] and "system" in told
    old = bench_report.Report(
        "decode", {"system": "emollm"}, told, [{"tokens_per_s": 10.0}, {"tokens_per_s": 30.0}, {"tokens_per_s": 20.0}]
    )
    new = bench_report.Report("decode", {"system": "emollm"}, told, [{"tokens_per_s": 40.0, "more": 1.0}])
    path = tmp_path / "old.json"
    path.write_text(old.json())
    again = bench_report.read(path, "decode")
    assert again.medians == {"tokens_per_s": 20.0}
    table = new.markdown(again).splitlines()
    assert table[2] == "| tokens per s | 40.0 | 40.000 | 40.000 | 20.0 | 2.00 |" and table[3].endswith("|  |  |")
    for broken, name in ((path, "clip"), (tmp_path / "nothing.json", "decode")):
        with pytest.raises(EmollmError):
            bench_report.read(broken, name)


def test_two_benches_at_once_are_refused():
    with pytest.raises(EmollmError, match="--measure and --serve"):
        bench.bench(measuring=True, serving=True)


def test_the_page_is_timed_in_a_browser(clip):
    pytest.importorskip("selenium")
    if bench_page.found_browser() is None:
        pytest.skip("no chromium with chromedriver")
    found = bench_page.measure_page(clip, bench.QUESTIONS, ["--system", "echo"])
    assert 0 < found["first_paint"] < found["page_usable"] <= found["model_ready"]
    assert 0 < found["first_token"] < found["full_answer"] and found["second_question_first_token"] > 0
