import pytest
import torch

from emollm.build import build
from emollm.data.collate import pad_features, pad_prompts
from emollm.data.conversation import ClipView, Turn
from emollm.errors import CheckpointError
from emollm.model.emotion_model import ADAPTERS, EmotionModel


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    return build("emollm", "toy", perception=object())


def batch_of(parts, rows):
    """Rows of (features, answer) to model inputs."""
    widths = {s.name: s.width for s in parts.recipe.streams}
    encoded, features = [], []
    for seen, answer in rows:
        view = ClipView("video", 1.0, {n: len(f) for n, f in seen.items()})
        encoded.append(parts.prompts.build([Turn("user", "?", clip=view), Turn("assistant", answer, learn=True)], answer=False))
        features.append(seen)
    return pad_prompts(encoded, parts.prompts.end_id), pad_features(features, parts.model.streams, widths)


def loss_of(parts, rows):
    batch, features = batch_of(parts, rows)
    with torch.no_grad():
        return float(parts.model(**batch, features=features).loss)


FACE, VOICE = torch.randn(2, 256), torch.randn(1, 256)


def test_missing_is_masked_not_zeroed(parts):
    """A row without a voice gives the same loss whether or not another row of the batch has one, and another loss than a row of zeros."""
    alone = loss_of(parts, [({"face": FACE}, "happy")])
    both_a = loss_of(parts, [({"face": FACE, "voice": VOICE}, "happy")])
    zeros = loss_of(parts, [({"face": FACE, "voice": torch.zeros(1, 256)}, "happy")])
    mixed = loss_of(parts, [({"face": FACE}, "happy"), ({"face": FACE, "voice": VOICE}, "happy")])
    assert mixed == pytest.approx((alone + both_a) / 2, abs=1e-4)
    assert abs(alone - zeros) > 1e-5


def test_loss_is_taken_at_answers_only(parts):
    batch, features = batch_of(parts, [({"face": FACE}, "happy")])
    with torch.no_grad():
        whole = parts.model(batch["input_ids"], batch["slots"], batch["attention_mask"], features).logits
        shifted = torch.nn.functional.cross_entropy(
            whole[:, :-1].flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), ignore_index=-100
        )
        assert float(parts.model(**batch, features=features).loss) == pytest.approx(float(shifted), abs=1e-5)


def test_wanted_shares_take_the_place_of_the_first_answer_token(parts):
    """Only the row that wants shares is changed, and only at its first learned position."""
    rows = [({"face": FACE}, "happy"), ({"face": FACE}, "sad")]
    batch, features = batch_of(parts, rows)
    ids = torch.tensor([[parts.prompts.text("happy")[0], parts.prompts.text("sad")[0]]] * 2)
    shares = torch.tensor([[0.25, 0.75], [0.0, 0.0]])
    with torch.no_grad():
        soft = float(parts.model(**batch, features=features, answer_ids=ids, answer_shares=shares).loss)
        logits = parts.model(batch["input_ids"], batch["slots"], batch["attention_mask"], features).logits.float().log_softmax(-1)
    labels, total, weights = batch["labels"], 0.0, 0.0
    for row in range(2):
        at = (labels[row] != -100).nonzero()[:, 0].tolist()
        for k, position in enumerate(at):
            chances = logits[row, position - 1]
            loss = -chances[labels[row, position]] if row or k else -(shares[0] * chances[ids[0]]).sum()
            total += float(loss) * len(at) ** -0.5
            weights += len(at) ** -0.5
    assert soft == pytest.approx(total / weights, abs=1e-4)


def test_fused_token_needs_both_streams(parts):
    assert parts.model.counts({"face": 3, "voice": 2})["fused"] == 1
    assert parts.model.counts({"face": 3})["fused"] == 0
    assert parts.model.counts({"face": 9})["face"] == 4  # the budget


def test_generate_takes_transformers_options(parts):
    encoded = parts.prompts.build([Turn("user", "hello")])
    inputs = {"input_ids": torch.tensor([encoded.input_ids]), "slots": torch.tensor([encoded.slots])}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    out = parts.model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert out.shape == (1, 4)
    beams = parts.model.generate(**inputs, max_new_tokens=3, num_beams=2, num_return_sequences=2)
    assert len(beams) == 2


def test_saved_adapters_load_and_say_the_same(parts, tmp_path):
    for name, p in parts.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.02)
    torch.manual_seed(0)
    parts.model.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", ADAPTERS, "lora"}
    again = build("emollm", "toy", adapters=tmp_path, perception=object())
    # The toy language model is drawn by the seed, so what differs could only come from the adapters (kept in bfloat16).
    assert loss_of(again, [({"face": FACE}, "happy")]) == pytest.approx(loss_of(parts, [({"face": FACE}, "happy")]), rel=0.02)


def test_incomplete_or_foreign_adapters_are_named(parts, tmp_path):
    with pytest.raises(CheckpointError, match="holds no trained adapters"):
        EmotionModel.from_adapters(tmp_path, llm_folder=None)
    parts.model.save_pretrained(tmp_path)
    from safetensors.torch import load_file, save_file

    state = load_file(tmp_path / ADAPTERS)
    state.pop("projectors.face.out_norm.weight")
    save_file(state, tmp_path / ADAPTERS)
    with pytest.raises(CheckpointError, match=r"projectors\.face\.out_norm\.weight is missing"):
        parts.model.load_adapters(tmp_path)


def test_merging_changes_nothing_but_speed():
    parts = build("emollm", "toy", perception=object())
    for name, p in parts.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.02)
    parts.model.eval()
    before = loss_of(parts, [({"face": FACE, "voice": VOICE}, "happy")])
    parts.model.merge()
    assert loss_of(parts, [({"face": FACE, "voice": VOICE}, "happy")]) == pytest.approx(before, abs=1e-4)
