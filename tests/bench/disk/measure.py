# SPDX-License-Identifier: Apache-2.0
"""Runs commands in turns and keeps what was seen of them: rows with a bar and a verdict each."""
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

MIB = 1 << 20
FAST_BYTES = 2 << 30  # a second


def say(text):
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


class Measure:
    """Wall seconds, CPU seconds and peak MiB of a command and all its children. GNU time starts it, so
    that the peak is not that of this program."""

    def __init__(self, command, directory):
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else [str(word) for word in command]
        report, said = directory / "time", directory / "said"
        with said.open("wb") as words_out:
            begin = time.monotonic()
            started = subprocess.Popen(["/usr/bin/time", "-o", str(report), "-f", "%M", *words],
                                       stdout=subprocess.DEVNULL, stderr=words_out)
            _, status, used = os.wait4(started.pid, 0)
            self.wall = time.monotonic() - begin
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode != 0:
            sys.exit(f"failed: {command}: {said.read_text()}")
        self.cpu, self.peak = used.ru_utime + used.ru_stime, int(report.read_text()) / 1024


def touch_memory(directory, length):
    """Makes so much memory be there, free, in pieces as a page cache uses them (what only a process had goes
    back in larger ones, and the kernel takes others, cold ones, for a file); again until it is fast."""
    scratch, piece = directory / "scratch", bytes(256 << 10)
    for _ in range(5):
        begin = time.monotonic()
        with scratch.open("wb", buffering=0) as file:
            for _ in range(0, length, len(piece)):
                file.write(piece)
        took = time.monotonic() - begin
        scratch.unlink()
        if took * FAST_BYTES < length:
            break


def warm(path):
    """Makes a file be in the page cache; holes are left alone."""
    with path.open("rb", buffering=0) as file:
        end, at = path.stat().st_size, 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            os.lseek(file.fileno(), at, os.SEEK_SET)
            while at < hole and (data := file.read(min(MIB, hole - at))):
                at += len(data)


def cpu_of(process):
    """CPU seconds of a process that goes on."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Table:
    """Rows as they come, and all of them once more at the end; kept in a file, where one is named, so that
    portions measured one after the other make one table."""

    def __init__(self, file):
        self.file, self.rows = file, {}
        if file is not None and file.exists():
            self.rows = json.loads(file.read_text())

    def add(self, row):
        row["when"] = time.strftime("%H:%M", time.gmtime())
        self.rows[row["name"]] = row
        if self.file is not None:
            self.file.write_text(json.dumps(self.rows, indent=1, ensure_ascii=False))
        print(self.line(row), flush=True)

    @staticmethod
    def head():
        return (f"{'work':64} {'ours s':>7} {'theirs':>7} {'wall':>6} {'CPU':>6} {'best':>6} {'CPU':>6} "
                f"{'MiB':>6} {'theirs':>7} {'bar':>12} verdict")

    @staticmethod
    def line(row):
        def ratio(name):
            return f"{row[name]:5.2f}x" if name in row else f"{'–':>6}"

        def number(name, width, places):
            return f"{row[name]:{width}.{places}f}" if name in row else f"{'–':>{width}}"
        bars = row["bars"]
        units = {"wall": "x", "cpu": "x" if "wall" in bars else "x CPU", "mib": " MiB"}
        bar = " / ".join(f"{bars[name]:g}{unit}" for name, unit in units.items() if name in bars)
        verdict = "" if not bars else "MISSED" if Table.misses(row) else "holds"
        return (f"{row['name']:64} {number('ours', 7, 2)} {number('theirs', 7, 2)} {ratio('wall')} {ratio('cpu')} "
                f"{ratio('best_wall')} {ratio('best_cpu')} {number('mib', 6, 1)} {number('their_mib', 7, 1)} "
                f"{bar:>12} {verdict:7} {row.get('note', '')}").rstrip()

    @staticmethod
    def misses(row):
        bars = row["bars"]
        return (any(row[name] < bars[name] for name in ("wall", "cpu") if name in bars)
                or ("mib" in bars and row["mib"] > bars["mib"]) or row.get("failed", False))

    def end(self, wanted):
        """All rows that are known; says which of the wanted are missing. The exit code."""
        print("\n" + self.head())
        order = {name: place for place, name in enumerate(wanted)}
        for row in sorted(self.rows.values(), key=lambda row: order.get(row["name"], len(order))):
            print(self.line(row))
        missed = [name for name, row in self.rows.items() if self.misses(row)]
        lacking = [name for name in wanted if name not in self.rows]
        for name in lacking if len(lacking) <= 12 else []:
            say(f"not measured: {name}")
        barred = sum(1 for row in self.rows.values() if row["bars"])
        print(f"{barred - len(missed)} of {barred} bars hold, {len(lacking)} rows are not measured")
        return 1 if missed else 0


class Pairs:
    """Two commands in turns. Every result of either is checked, in every round."""

    def __init__(self, rounds, work, table):
        self.rounds, self.work, self.table = rounds, work, table

    def turn(self, command, out, room, check, watch):
        out.unlink(missing_ok=True)
        touch_memory(self.work, room + 64 * MIB)
        before = cpu_of(watch) if watch else 0
        seen = Measure(command, self.work)
        seen.watched = cpu_of(watch) - before if watch else 0
        check(out)
        out.unlink()
        return seen

    def measure(self, name, bars, raw, ours, theirs, check, sources, watch=None, note=""):
        """ours and theirs are commands that write `out`; check(out) ends the program where the result is
        not that of `raw`. The CPU time of `watch`, a server of both, is told, not counted."""
        out, seen = self.work / "out", []
        for path in sources:
            warm(path)
        for number in range(self.rounds):
            turns = {}
            for who in ("ours", "theirs") if number % 2 else ("theirs", "ours"):
                turns[who] = self.turn(ours if who == "ours" else theirs, out, raw.stat().st_blocks * 512,
                                       check, watch)
            seen.append((turns["ours"], turns["theirs"]))
            a, b = seen[-1]
            say(f"  {name}: round {number + 1} of {self.rounds}: {a.wall:.2f} s, theirs {b.wall:.2f} s "
                f"({b.wall / a.wall:.2f}x, CPU {b.cpu / a.cpu:.2f}x), both equal to the source")
        self.table.add({"name": name, "bars": bars, **self.figures(seen), "rounds": self.rounds,
                        "note": note + self.served(seen)})

    @staticmethod
    def figures(seen):
        middle, ours, theirs = statistics.median, [a for a, _ in seen], [b for _, b in seen]
        return {"ours": middle(a.wall for a in ours), "theirs": middle(b.wall for b in theirs),
                "wall": middle(b.wall / a.wall for a, b in seen), "cpu": middle(b.cpu / a.cpu for a, b in seen),
                "best_wall": min(b.wall for b in theirs) / min(a.wall for a in ours),
                "best_cpu": min(b.cpu for b in theirs) / min(a.cpu for a in ours),
                "mib": middle(a.peak for a in ours), "their_mib": middle(b.peak for b in theirs)}

    @staticmethod
    def served(seen):
        ours, theirs = (statistics.median(turn.watched for turn in turns) for turns in zip(*seen))
        return f"server {ours:.2f} s CPU, theirs {theirs:.2f}" if ours + theirs > 0 else ""
