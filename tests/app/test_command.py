"""`emollm app` as a command: when it is ready, what it refuses, and what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from acting import PATIENCE_S, Acting, Running, wait_for
from app_places import SAMPLES, free_port
from pages import Page

from emollm.errors import EmollmError

JOY = SAMPLES / "sample_joy.mp4"


def test_it_says_when_it_is_ready_and_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "emollm", "app", "--port", str(port), "--system", "echo", "--clip", str(JOY)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None and process.stderr is not None
        assert process.stderr.readline() == f"emollm is getting ready at http://127.0.0.1:{port}\n"
        assert process.stdout.readline() == f"emollm is ready at http://127.0.0.1:{port}\n"
        assert list(tmp_path.glob("emollm-app-*"))
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and "Traceback" not in errors
    assert not list(tmp_path.glob("emollm-app-*")), "the folder with the clips goes with the process"


def test_a_wrong_clip_port_or_system_is_refused_before_anything_opens(app: Running) -> None:
    import typer
    from typer.testing import CliRunner

    from emollm.commands.app import app as run

    command = typer.Typer()
    command.command()(run)
    port = app.address.rpartition(":")[2]
    missing = CliRunner().invoke(command, ["--clip", "nowhere.mp4"]).exception
    taken = CliRunner().invoke(command, ["--port", port, "--system", "no-such-system"]).exception
    unknown = CliRunner().invoke(command, ["--port", str(free_port()), "--system", "no-such-system"]).exception
    assert isinstance(missing, EmollmError) and "no clip at nowhere.mp4" in str(missing)
    assert isinstance(taken, EmollmError) and f"port {port}" in str(taken) and f"--port {int(port) + 1}" in str(taken)
    assert isinstance(unknown, EmollmError) and "no-such-system" in str(unknown)


@pytest.mark.parametrize("port", [7999])
def test_a_free_port_is_not_refused(port: int) -> None:
    from emollm.app.port import address, check_free

    check_free("127.0.0.1", free_port())
    assert address("0.0.0.0", port) == "http://127.0.0.1:7999"


def test_a_clip_is_decoded_in_a_process_that_may_die(browser: Any) -> None:
    port = free_port()
    command = [sys.executable, "-m", "emollm", "app", "--port", str(port), "--system", "echo"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline().startswith("emollm is ready at")
        page = Page(browser, Running(f"http://127.0.0.1:{port}", Acting(), Path()))
        decoders = [c for c in psutil.Process(process.pid).children() if "emollm.media.child" in c.cmdline()]
        assert decoders, "no decoding process was started"
        for decoder in decoders:
            decoder.kill()
        wait_for(lambda: all(d.status() == psutil.STATUS_ZOMBIE for d in decoders), "the decoding process did not die")
        page.upload(JOY)
        page.shows("#emollm-clip-note", "the decoder failed on sample_joy.mp4")
        page.open(SAMPLES / "sample_sad.mp4")
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
    assert process.returncode == 0
