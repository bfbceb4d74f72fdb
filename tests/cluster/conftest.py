"""Real Ray, on this machine; workers find the stand-ins of these tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="package")
def ray_here():
    pytest.importorskip("ray.data")
    pytest.importorskip("ray.serve")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
