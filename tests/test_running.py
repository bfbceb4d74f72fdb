import os
import subprocess
import sys

from emollm.running import runs


def test_who_runs_and_who_is_gone():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert runs(os.getpid())
    assert not runs(gone.pid)
    assert runs(2**70)  # no such number can be, so nothing may be swept
