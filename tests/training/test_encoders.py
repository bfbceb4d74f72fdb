"""The stage before all others: face and voice encoders from labelled media, at a size of seconds."""

import numpy as np
import pytest
import tiny_data
import torch

from emollm.build import load_encoder
from emollm.data.corpus import Corpus, Item
from emollm.encoders.face import EXPRESSIONS, FaceEncoder
from emollm.encoders.voice import VoiceEncoder
from emollm.errors import DataError
from emollm.synth.faces import Stills
from emollm.training import encoders, face_encoder, self_taught, unit_encoder, views
from emollm.units import INDEX, UNITS, mirrored_units


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    data = tiny_data.build(tmp_path_factory.mktemp("data"))
    out = tmp_path_factory.mktemp("out")
    told = []
    encoders.train_encoders(data, out, epochs=3, more_epochs=2, voice_epochs=3, say=lambda what, share, detail: told.append((what, share)))
    return data, out, told


def test_both_files_load_into_fresh_encoders(trained):
    _, out, told = trained
    for name, kind in (("face", FaceEncoder), ("voice", VoiceEncoder)):
        load_encoder(kind(), out / f"{name}.safetensors")
    assert {what for what, _ in told} == {"finding faces", "face encoder", "face encoder, learning on", "hearing voices", "voice encoder"}
    assert all(0 <= share <= 1 for _, share in told)


def test_the_face_encoder_learns_to_tell_two_faces_apart(trained):
    data, out, _ = trained
    faces = face_encoder.prepare_faces(Corpus(data), out, lambda *_: None)
    encoder = face_encoder.train_face(faces, epochs=70, seed=0, say=lambda *_: None, batch=12)
    edge = face_encoder.ROOM_PX // 2
    crops = torch.from_numpy(faces.crops[:, edge:-edge, edge:-edge].copy())
    with torch.inference_mode():
        logits = encoder.expressions(encoder(crops, torch.from_numpy(faces.points)))
    assert (logits.argmax(1).numpy() == faces.targets.argmax(1)).mean() >= 0.75  # two labels, so half would be chance


def test_learning_on_keeps_the_encoder_that_was_given(trained):
    data, out, _ = trained
    faces = face_encoder.prepare_faces(Corpus(data), out, lambda *_: None)
    before = face_encoder.train_face(faces, epochs=2, seed=0, say=lambda *_: None, batch=12)
    kept = {k: v.clone() for k, v in before.state_dict().items()}
    after = self_taught.learn_on(before, faces, epochs=2, seed=0, say=lambda *_: None, batch=12)
    assert all(torch.equal(v, kept[k]) for k, v in before.state_dict().items() if "running" not in k and "tracked" not in k)
    assert not torch.equal(after.join[1].weight, before.join[1].weight)
    # Of two classes seen alike often neither gains; all others lose against them.
    moved = (after.expression.bias - before.expression.bias).detach()
    shown = sorted(set(faces.targets.argmax(1).tolist()))
    assert moved[shown].min() > moved[[k for k in range(8) if k not in shown]].max()


def stills(count):
    """Synthetic faces in pairs: an open jaw darkens the lower half of the crop, a left smile one side of it."""
    rng = np.random.default_rng(0)
    jaw = np.repeat(rng.integers(0, 2, count // 2), 2).astype(np.float32)
    smile = np.repeat(rng.integers(0, 2, count // 2), 2).astype(np.float32)
    crops = rng.integers(100, 156, (count, 112, 112)).astype(np.uint8)
    crops[jaw > 0, 60:] //= 3
    crops[smile > 0, :60, 56:] //= 2
    units = np.zeros((count, len(UNITS)), np.float32)
    units[:, INDEX["jawOpen"]] = jaw
    units[:, INDEX["mouthSmileLeft"]] = smile
    zeros = np.zeros(count, np.float32)
    points = np.repeat(rng.normal(0, 0.2, (1, 468, 3)), count, 0).astype(np.float32)
    return Stills(crops, points, np.zeros((count, 8), np.float32), units, jaw, zeros, np.arange(count))


def test_synthetic_faces_teach_facial_units(trained):
    data, out, _ = trained
    faces, made = face_encoder.prepare_faces(Corpus(data), out, lambda *_: None), stills(80)
    encoder = unit_encoder.train_units(made, faces, steps=120, seed=0, say=lambda *_: None, batch=12)
    edge = unit_encoder.ROOM_PX // 2
    with torch.inference_mode():
        tokens = encoder(torch.from_numpy(made.crops[:, edge:-edge, edge:-edge].copy()), torch.from_numpy(made.points))
        units, condition = encoder.units(tokens).numpy(), encoder.condition(tokens).numpy()
    assert condition.shape == (80, 3) and 0 <= condition.min() <= condition.max() <= 1
    for name, least in (("jawOpen", 0.8), ("mouthSmileLeft", 0.7)):
        assert np.corrcoef(units[:, INDEX[name]], made.units[:, INDEX[name]])[0, 1] > least
    other = units[:, INDEX["mouthSmileRight"]]
    assert np.corrcoef(other, made.units[:, INDEX["mouthSmileLeft"]])[0, 1] < 0.6  # sides are told apart


def test_without_synthetic_faces_no_unit_encoder_is_written(trained):
    _, out, _ = trained
    assert not (out / "units.safetensors").exists()


def test_a_mirrored_face_moves_the_other_side():
    swap = mirrored_units()
    assert UNITS[swap[INDEX["mouthSmileLeft"]]] == "mouthSmileRight" and UNITS[swap[INDEX["jawLeft"]]] == "jawRight"
    assert UNITS[swap[INDEX["jawOpen"]]] == "jawOpen" and (swap[swap] == np.arange(len(UNITS))).all()


def test_prepared_faces_are_kept(trained, monkeypatch):
    data, out, _ = trained
    monkeypatch.setattr(face_encoder, "FaceTracker", lambda *_: pytest.fail("faces were looked for again"))
    assert len(face_encoder.prepare_faces(Corpus(data), out, lambda *_: None).crops) > 0


def test_no_labelled_faces_is_said(tmp_path):
    (tmp_path / "index.jsonl").write_text("", "utf-8")
    with pytest.raises(DataError, match="no labelled faces"):
        encoders.train_encoders(tmp_path, tmp_path / "out")


def test_votes_become_shares_without_lone_ones():
    votes = [6, 0, 0, 3, 1, 0, 0, 0]  # neutral 6, sad 3, and one lone vote for angry
    target = face_encoder.face_target(Item("i", "ferplus", "face", "train", "neutral", None, extra={"votes": votes}))
    assert target.sum() == pytest.approx(1)
    assert target[EXPRESSIONS.index("neutral")] == pytest.approx(0.7) and target[EXPRESSIONS.index("sad")] == pytest.approx(0.3)
    assert target[EXPRESSIONS.index("angry")] == 0


def test_a_plain_label_keeps_a_little_doubt():
    target = face_encoder.face_target(Item("i", "london", "face", "train", "happy", None))
    assert target.sum() == pytest.approx(1, abs=0.01) and target.argmax() == EXPRESSIONS.index("happy")


def test_the_mirror_is_its_own_inverse_where_the_face_is_symmetric():
    half = np.stack([np.linspace(0.1, 1, 20), np.linspace(-1, 1, 20), np.zeros(20)], 1)
    mirror = views.mirror_index(np.concatenate([half, half * [-1, 1, 1]]))
    assert (mirror[mirror] == np.arange(40)).all() and (mirror != np.arange(40)).all()
