"""Requests made from our own OpenAPI document, valid and not: never a fault of the server, never an undocumented answer.

`EMOLLM_FUZZ` says how many for each address; docs/serving.md tells what a long run found.
"""

import os

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from servers import served

from emollm.chat.echo import EchoBackend
from emollm.serving.limits import Limits

EXAMPLES = int(os.environ.get("EMOLLM_FUZZ", "6"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 100,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
OPERATIONS = [
    ("GET", "/health"), ("GET", "/ready"), ("GET", "/metrics"), ("GET", "/v1/models"), ("GET", "/v1/models/{model_id}"),
    ("POST", "/v1/chat/completions"), ("POST", "/v1/emollm/score"), ("POST", "/v1/emollm/analyze"), ("POST", "/v1/files"),
    ("GET", "/v1/files"), ("GET", "/v1/files/{file_id}"), ("DELETE", "/v1/files/{file_id}"), ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/analyses"), ("GET", "/v1/analyses"), ("GET", "/v1/analyses/{job_id}"), ("GET", "/v1/analyses/{job_id}/csv"),
    ("POST", "/v1/analyses/{job_id}/cancel"), ("DELETE", "/v1/analyses/{job_id}"),
]  # fmt: skip


@pytest.fixture(scope="module")
def document():
    with served(EchoBackend(), limits=Limits(files=1000, jobs=1000)) as url:
        yield schemathesis.openapi.from_url(url.removesuffix("/v1") + "/openapi.json", wait_for_schema=60)


def test_every_address_is_asked(document):
    assert {(o.ok().method.upper(), o.ok().path) for o in document.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_made_up_requests_are_answered_as_documented(document, method, path):
    strategy = document[path][method].as_strategy()
    statuses = []

    @SETTINGS
    @hypothesis.given(case=strategy)
    def probe(case):
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "echo"  # else all that happens is 404
        statuses.append(case.call_and_validate(checks=CHECKS, timeout=60).status_code)

    probe()
    assert statuses and max(statuses) < 500
