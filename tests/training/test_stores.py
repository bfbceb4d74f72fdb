"""Systems over the same encoders share what was encoded once."""

import json

from emollm.training.stores import store_for


def test_a_smaller_system_uses_the_folder_of_a_larger_one(tmp_path):
    folder, filler = store_for(tmp_path, "nano-emox", "mini")
    assert filler == "nano-emox" and json.loads((folder / "encoders.json").read_text("utf-8"))["scale"] == "mini"
    assert store_for(tmp_path, "emotion-llama-v2", "mini") == (folder, "nano-emox")
    assert store_for(tmp_path, "nano-emox", "mini") == (folder, "nano-emox")
    assert store_for(tmp_path, "emollm", "mini")[0] != folder  # its tokens come from the measuring layer


def test_other_options_of_an_encoder_are_another_folder(tmp_path):
    folder, _ = store_for(tmp_path, "nano-emox", "mini")
    other, filler = store_for(tmp_path, "nano-emox+code", "mini")  # whole frames instead of faces
    assert other != folder and filler == "nano-emox+code"


def test_the_larger_system_does_not_use_the_smaller_ones(tmp_path):
    folder, _ = store_for(tmp_path, "emotion-llama-v2", "mini")
    assert store_for(tmp_path, "nano-emox", "mini")[0] != folder
