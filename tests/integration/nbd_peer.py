# SPDX-License-Identifier: Apache-2.0
"""Waits for a qemu-nbd that was started."""
import socket
import time


def await_socket(server, path, seconds=60):
    """Until it takes connections: its socket has a name a little earlier."""
    end = time.monotonic() + seconds
    while True:
        assert server.poll() is None, "qemu-nbd has ended"
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
                return
            except OSError:
                assert time.monotonic() < end, f"nobody listens at {path}"
        time.sleep(0.02)
