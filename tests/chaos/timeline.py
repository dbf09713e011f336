# SPDX-License-Identifier: Apache-2.0
"""What happened when: faults, verbs and counts of states, a line each, in a file."""
import threading
import time


class Timeline:
    def __init__(self, path):
        self.path = path
        self.file = open(path, "w", encoding="utf-8", buffering=1)
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.began_wall = time.time()

    def now(self):
        return time.monotonic() - self.began

    def say(self, kind, text):
        with self.lock:
            self.file.write(f"{self.now():8.2f} {kind:<8} {text}\n")

    def merge(self, events):
        """Adds what the events tell, at their own time, and sorts the file."""
        with self.lock:
            self.file.close()
            with open(self.path, encoding="utf-8") as file:
                lines = file.read().splitlines()
            for at_us, text in events:
                lines.append(f"{at_us / 1e6 - self.began_wall:8.2f} {'event':<8} {text}")
            lines.sort(key=lambda line: float(line[:8]))
            with open(self.path, "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            self.file = open(self.path, "a", encoding="utf-8", buffering=1)
