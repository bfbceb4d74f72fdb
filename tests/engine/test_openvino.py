"""The fast core against the torch core, and what happens where there is none."""

import sys

import pytest
import torch
from paths import HAVE_WEIGHTS
from toys import begin, embeds_of, engine_of, ids_of, reference, text_of, toy_llama

from emollm.engine import choose as choosing
from emollm.engine.choose import choose
from emollm.engine.settings import EngineSettings
from emollm.engine.torch_core import TorchCore
from emollm.errors import BackendError

needs_openvino = pytest.mark.skipif(choosing.openvino_version() is None, reason="needs openvino")


def fast(causal, folder, **options):
    from emollm.engine.openvino_core import OpenvinoCore

    return OpenvinoCore(causal, **{"precision": "float32", "threads": 1, "memory_mb": 4, "folder": folder, **options})


@needs_openvino
@pytest.mark.parametrize("heads", [{}, {"num_key_value_heads": 4}, {"num_key_value_heads": 1, "tie_word_embeddings": True}])
def test_exact_weights_give_the_same_text(tmp_path, heads):
    llama = toy_llama(3, **heads)
    engine = engine_of(llama, core=fast(llama, tmp_path))
    texts = ["Hello", "How do you feel today, and why?", "x" * 90]
    streams = [begin(engine, llama, text) for text in texts]
    for stream, text in zip(streams, texts, strict=True):
        text_of(stream)
        assert list(stream.ended.tokens) == reference(llama, text)


@needs_openvino
@pytest.mark.parametrize("precision", ["int8", "float16", "bfloat16"])
def test_rounded_weights_give_nearly_the_same_logits(tmp_path, precision):
    llama = toy_llama(4)
    core, exact = fast(llama, tmp_path, precision=precision), TorchCore(llama)
    embeds = embeds_of(llama, ids_of("How do you feel today, and why? And they?"))
    a, b = core.forward([(core.open(), embeds)])[0], exact.forward([(exact.open(), embeds)])[0]
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.99


@needs_openvino
def test_an_export_is_made_once_and_by_its_weights(tmp_path, monkeypatch):
    from emollm.engine import openvino_export

    first = openvino_export.exported(toy_llama(), "int8", tmp_path)
    monkeypatch.setattr(openvino_export, "_graph", lambda *_: pytest.fail("exported again"))
    assert openvino_export.exported(toy_llama(), "int8", tmp_path) == first
    monkeypatch.undo()
    other = openvino_export.exported(toy_llama(1), "int8", tmp_path)
    assert other != first and {p.name for p in tmp_path.iterdir()} == {first.parent.name, other.parent.name}  # and no draft is left


@needs_openvino
def test_exports_that_nobody_uses_go(tmp_path, monkeypatch):
    import os

    from emollm.engine import openvino_export

    monkeypatch.setattr(openvino_export, "_graph", lambda *_: None)
    monkeypatch.setattr(openvino_export, "_save", lambda _, path, weights: path.write_text("x"))
    (tmp_path / "not-ours").mkdir()
    homes = [openvino_export.exported(toy_llama(seed), "int8", tmp_path).parent for seed in range(4)]
    for age, home in enumerate(homes):
        os.utime(home, (1000 + age, 1000 + age))
    openvino_export.exported(toy_llama(0), "int8", tmp_path)  # used again, so it is the youngest
    openvino_export.exported(toy_llama(4), "int8", tmp_path)
    assert [home.exists() for home in homes] == [True, False, True, True] and (tmp_path / "not-ours").exists()


@needs_openvino
def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch):
    from emollm.engine import openvino_export

    monkeypatch.setattr(openvino_export, "_save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    monkeypatch.setattr(choosing, "WORTHWHILE", 0)
    chosen = choose(toy_llama(), EngineSettings(), tmp_path)
    assert chosen.core.name == "torch" and "disk full" in str(chosen)
    assert not list(tmp_path.iterdir())


@needs_openvino
def test_auto_takes_openvino_where_it_pays(tmp_path, monkeypatch):
    assert choose(toy_llama(), EngineSettings(), tmp_path).core.name == "torch"  # too small
    monkeypatch.setattr(choosing, "WORTHWHILE", 0)
    found = choose(toy_llama(), EngineSettings(memory_mb=4), tmp_path)
    assert str(found) == "openvino, float16 weights"


def test_other_families_run_on_torch_and_it_is_said(tmp_path, monkeypatch):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    monkeypatch.setattr(choosing, "WORTHWHILE", 0)
    qwen = Qwen2ForCausalLM(Qwen2Config(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2))
    chosen = choose(qwen, EngineSettings(precision="float32"), tmp_path)
    assert chosen.core.name == "torch" and ("Qwen2ForCausalLM is no Llama" in chosen.reason or "not installed" in chosen.reason)
    with pytest.raises(BackendError, match="cannot run this model"):
        choose(qwen, EngineSettings(core="openvino"), tmp_path)


def test_without_openvino_torch_runs_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(choosing.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(choosing, "WORTHWHILE", 0)
    chosen = choose(toy_llama(), EngineSettings(precision="float32"), tmp_path)
    assert chosen.core.name == "torch" and "pip install openvino" in str(chosen)


def test_importing_the_engine_imports_no_openvino():
    import subprocess

    code = "import sys; import emollm.engine.engine, emollm.chat.local; sys.exit('openvino' in sys.modules or 'llguidance' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_names_are_refused():
    assert EngineSettings.named("fast").precision == "int8" and EngineSettings.named("torch").core == "torch"
    with pytest.raises(BackendError, match="fast"):
        EngineSettings.named("quick")
    for wrong in ({"core": "vllm"}, {"precision": "int2"}, {"streams": 0}):
        with pytest.raises(BackendError):
            EngineSettings(**wrong)
    with pytest.raises(BackendError, match="no int8"):
        choose(toy_llama(), EngineSettings(core="torch", precision="int8"))


def test_bfloat16_on_torch_is_near(llama):
    half, exact = TorchCore(llama, torch.bfloat16), TorchCore(llama)
    assert (half.precision, exact.precision) == ("bfloat16", "float32")
    embeds = embeds_of(llama, ids_of("How do you feel today?"))
    a, b = half.forward([(half.open(), embeds)])[0], exact.forward([(exact.open(), embeds)])[0]
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.99 and llama.dtype == torch.float32


@needs_openvino
@pytest.mark.skipif(not HAVE_WEIGHTS, reason="needs `emollm weights pull mini`")
@pytest.mark.parametrize(("precision", "least"), [("float16", 1.0), ("int8", 0.9)])
def test_the_real_model_rounded_says_the_same(tmp_path, precision, least):
    from emollm import weights
    from emollm.engine.measure import agreement
    from emollm.model.llm import load_llm
    from emollm.model.tokenizer import load_tokenizer

    folder = weights.locate("smollm2-135m-instruct")
    causal = load_llm(folder)
    core = fast(causal, tmp_path, precision=precision, memory_mb=64)
    assert agreement(core, causal, load_tokenizer(folder), positions=60) >= least
