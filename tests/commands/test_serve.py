import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import openai
import pytest

from emollm.commands.serve import serve
from emollm.errors import EmollmError

START = "import typer; from emollm.commands.serve import serve; typer.run(serve)"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_other_machines_only_with_a_key(host):
    with pytest.raises(EmollmError, match="--no-key"):
        serve(host=host, system="echo")


def test_empty_key_and_taken_port():
    with pytest.raises(EmollmError, match="empty"):
        serve(api_key=" ", system="echo")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(EmollmError, match="cannot listen"):
        serve(port=taken.getsockname()[1], system="echo")


def test_serves_and_ends_gracefully():
    command = [sys.executable, "-c", START, "--system", "echo", "--port", "0", "--api-key", "k"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as process:
        try:
            url = re.search(r"http://\S+/v1", process.stdout.readline())[0]
            with openai.OpenAI(base_url=url, api_key="k", timeout=10) as client:  # it retries until the server is up
                answer = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "hi canary"}])
            assert answer.choices[0].message.content.endswith("hi canary")
            assert httpx.get(f"{url}/models").status_code == 401
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "canary" not in log and "req_" in log
