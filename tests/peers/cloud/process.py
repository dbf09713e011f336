# SPDX-License-Identifier: Apache-2.0
"""Processes of a directory: started in sessions of their own, ended by the ids that were written down.

A file run/NAME.pid holds the id and the moment of its start, so that a number which was given to
another process since is never signalled.
"""
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

# Nothing of the caller's environment: proxies would catch loopback, OS_* would change the clients, and
# another python3 in front of Debian's does not have its modules.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8",
               "no_proxy": "*", "HOME": "/"}


class Failure(RuntimeError):
    """The lab cannot be had; the text says why."""


def wait_until(what, seconds, condition, every=0.2):
    """`seconds` are a quiet machine's."""
    seconds *= 3
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(every)


def fields_of(pid):
    """State, session and start of a process; None when there is none."""
    try:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return words[0], int(words[3]), words[19]


class Processes:
    """All that runs for one directory."""

    def __init__(self, directory):
        self.run = pathlib.Path(directory) / "run"
        self.log = pathlib.Path(directory) / "log"
        self.environment = {**ENVIRONMENT, "GUTS_PEER": str(directory)}

    def _file(self, name):
        return self.run / f"{name}.pid"

    def pid(self, name):
        """Of the leader of the session, while it lives."""
        try:
            pid, start = self._file(name).read_text().split()
        except (OSError, ValueError):
            return None
        fields = fields_of(pid)
        return int(pid) if fields and fields[0] != "Z" and fields[2] == start else None

    def alive(self, name):
        return self.pid(name) is not None

    def names(self):
        return sorted(path.stem for path in self.run.glob("*.pid"))

    def start(self, name, words, **environment):
        if self.alive(name):
            return
        with open(self.log / f"{name}.log", "ab") as log:
            child = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, start_new_session=True,
                                     cwd=self.run, env={**self.environment, **environment})
        self._file(name).write_text(f"{child.pid} {fields_of(child.pid)[2]}\n")

    def members(self, name):
        """(id, start) of each process in the session; the leader first."""
        leader = self.pid(name)
        if leader is None:
            return []
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            fields = fields_of(path.name)
            if fields and fields[1] == leader:
                found.append((int(path.name), fields[2]))
        return sorted(found, key=lambda one: one[0] != leader)

    def signal(self, name, number):
        for pid, start in self.members(name):
            self._signal_one(pid, start, number)

    @staticmethod
    def _signal_one(pid, start, number):
        fields = fields_of(pid)
        if fields and fields[2] == start and fields[0] != "Z":
            os.kill(pid, number)
            return True
        return False

    def stop(self, name, seconds=15):
        """SIGTERM to the leader; what is left of the session after `seconds` is killed."""
        members = self.members(name)
        if members:
            for pid, start in members:
                self._signal_one(pid, start, signal.SIGCONT)
            self._signal_one(*members[0], signal.SIGTERM)
            end = time.monotonic() + seconds
            while self.alive(name) and time.monotonic() < end:
                time.sleep(0.05)
            for pid, start in members:
                self._signal_one(pid, start, signal.SIGKILL)
        self._file(name).unlink(missing_ok=True)

    def kill(self, name):
        self.signal(name, signal.SIGKILL)
        self.stop(name)

    def tail(self, name, lines=15):
        text = (self.log / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait_http(self, name, url, seconds=120):
        """Until the service gives any answer that is not an error of its own."""
        def answers():
            if not self.alive(name):
                raise Failure(f"{name} ended while starting:\n{self.tail(name)}")
            return http_status(url) in range(200, 500)
        wait_until(f"{name} answers at {url}", seconds, answers)


def http_status(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as failure:
        return failure.code
    except OSError:
        return 0
