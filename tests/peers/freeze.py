# SPDX-License-Identifier: Apache-2.0
"""Freezes a process for certain: a signal stops each thread only when that thread next looks for it, and until
then one that runs goes on answering."""
import os
import pathlib
import signal
import time

MOST_S = 30


def _states(pid):
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            yield path.read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            pass  # that thread has ended


def freeze(pid):
    """All threads stand still when this returns. Raises ProcessLookupError, or TimeoutError where one waits for a
    device."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + MOST_S
    while not all(state in "TtZX" for state in _states(pid)):
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} does not stand still within {MOST_S} s")
        time.sleep(0.002)
