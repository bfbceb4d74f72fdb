"""Replies that follow a JSON schema, whatever the model would rather say."""

import json

import pytest
from toys import begin, engine_of, text_of, toy_llama

from emollm.engine.grammar import ANY_OBJECT
from emollm.errors import BackendError

pytest.importorskip("llguidance")

FEELING = {
    "type": "object",
    "properties": {
        "label": {"enum": ["happy", "sad", "neutral"]},
        "strength": {"type": "integer", "minimum": 0, "maximum": 10},
        "reasons": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 1, "maxItems": 2},
        "sure": {"type": "boolean"},
    },
    "required": ["label", "strength", "reasons", "sure"],
    "additionalProperties": False,
}


def fits(value):
    return (
        set(value) == set(FEELING["properties"])
        and value["label"] in FEELING["properties"]["label"]["enum"]
        and isinstance(value["strength"], int)
        and 0 <= value["strength"] <= 10
        and 1 <= len(value["reasons"]) <= 2
        and all(isinstance(r, str) and len(r) <= 12 for r in value["reasons"])
        and isinstance(value["sure"], bool)
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_random_models_write_what_the_schema_says(seed, temperature):
    llama = toy_llama(seed)
    engine = engine_of(llama)
    streams = [
        begin(engine, llama, f"{seed}{i}", schema=json.dumps(FEELING), max_new_tokens=600, temperature=temperature, seed=seed)
        for i in range(3)
    ]
    free = begin(engine, llama, "beside them", max_new_tokens=30)
    for stream in streams:
        assert fits(json.loads(text_of(stream))) and stream.ended.reason == "stop"
    assert text_of(free) == text_of(begin(engine_of(llama), llama, "beside them", max_new_tokens=30))


def test_any_object_is_an_object_as_far_as_it_goes(llama, engine):
    stream = begin(engine, llama, "Hello", schema=ANY_OBJECT, max_new_tokens=300, temperature=1.0, seed=3)
    text = text_of(stream)
    assert text.startswith("{")
    if stream.ended.reason == "stop":
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize("schema", ["{", "[]", '{"type": "nonsense"}'])
def test_a_schema_that_cannot_be_followed_is_refused_before_anything_is_written(llama, engine, schema):
    with pytest.raises(BackendError) as caught:
        begin(engine, llama, "Hello", schema=schema)
    assert caught.value.code == "invalid_request"
