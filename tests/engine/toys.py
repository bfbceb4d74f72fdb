"""Random Llamas of a few thousand weights, a tokenizer of bytes, and the shortest way to run an engine on them."""

import threading

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from emollm.engine.choose import Chosen
from emollm.engine.engine import Engine
from emollm.engine.settings import EngineSettings
from emollm.engine.torch_core import TorchCore
from emollm.model.tokenizer import load_tokenizer
from emollm.values import Sampling

TOKENIZER = load_tokenizer(None)
END = TOKENIZER.eos_token_id


def toy_llama(seed=0, **more):
    torch.manual_seed(seed)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    # Wide initial weights: logits far apart, so that no greedy choice hangs on the last digit.
    config = LlamaConfig(vocab_size=len(TOKENIZER), initializer_range=0.3, eos_token_id=END, pad_token_id=END, **{**shape, **more})
    return LlamaForCausalLM(config).eval().requires_grad_(requires_grad=False)


def engine_of(causal, *, core=None, **settings):
    return Engine(causal, TOKENIZER, END, EngineSettings(**settings), chosen=Chosen(core or TorchCore(causal), ""))


def ids_of(text):
    return TOKENIZER(text)["input_ids"]


def embeds_of(causal, ids):
    return causal.get_input_embeddings()(torch.tensor(ids)).detach()


def owners_of(ids, clip=None):
    return [(t, -1, "") if clip is None else (t, 0, f"{clip}:{i}:") for i, t in enumerate(ids)]


def begin(engine, causal, text, *, clip=None, due=None, **sampling):
    ids = ids_of(text)
    return engine.write(embeds_of(causal, ids), owners_of(ids, clip), Sampling(**{"max_new_tokens": 20, **sampling}), due=due)


def text_of(stream):
    return "".join(stream)


def reference(causal, text, *, max_new_tokens=20, repetition_penalty=1.1, **options):
    """What transformers' own loop writes: tokens."""
    out = causal.generate(
        inputs_embeds=embeds_of(causal, ids_of(text))[None],
        max_new_tokens=max_new_tokens,
        do_sample=False,
        repetition_penalty=repetition_penalty,
        eos_token_id=END,
        pad_token_id=END,
        **options,
    )
    return out[0].tolist()


class Gate:
    """A core that waits for leave before each step, and can fail on command."""

    def __init__(self, core):
        self._core = core
        self.steps = 0
        self.open_ = threading.Event()
        self.open_.set()
        self.fail_next = False
        self.fail_reset = False
        self.seen = []  # lengths of each call

    def __getattr__(self, name):
        return getattr(self._core, name)

    def forward(self, work):
        self.open_.wait(10)
        self.steps += 1
        self.seen.append([len(e) for _, e in work])
        if self.fail_next:
            self.fail_next = False
            raise RuntimeError("out of smoke")
        return self._core.forward(work)

    def reset(self):
        if self.fail_reset:
            raise RuntimeError("gone for good")
        self._core.reset()
