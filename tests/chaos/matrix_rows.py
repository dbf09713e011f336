# SPDX-License-Identifier: Apache-2.0
"""The rows of the matrix: each crash point of tests/chaos/points, with what its details can be, and the
story in which it is passed. A step that is added to a list of the code is a row by itself."""
import dataclasses
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
TABLE = pathlib.Path(__file__).resolve().parent / "points"

# What the drivers write into the ledger, by the story's kind of migration.
KINDS = {"fake": ("power", "snapshot", "disk", "server"), "local": ("directory", "disk", "domain")}
LATE_STEPS = ("sweep", "settle")  # of a second attempt only
LIST_STEPS = ("test", "discover", "catalog")
SENT = {"api": ("Wake",),
        "migration": ("NodeReport", "JobAccept", "LedgerWrite", "JobFinished", "InventoryPage",
                      "CatalogPage"),
        "scheduler": ("JobAssign", "LeaseRenew", "LedgerAnswer", "NodeControl", "Change")}
TAKEN = {"migration": ("JobAssign", "LeaseRenew", "LedgerAnswer", "NodeControl"),
         "scheduler": ("Wake", "NodeReport", "JobAccept", "LedgerWrite", "JobFinished",
                       "InventoryPage", "CatalogPage")}
# Messages that no story brings about, with the reason.
RARE = {"JobRefuse": "only in a race between what a node has and an assignment"}
# Points at which something may stand half done at the far end.
FORWARD = (*(f"_{place}:{step}" for place in ("step", "deed") for step in (
    "preflight", "stop", "export", "copy", "check", "deploy", "verify")), ":intend:", ":made:", "data_flush")
HALF_DONE = ("after_ledger_write:intend", "before_ledger_write:made", "before_ledger_write:settle", "after_deed:copy")
GOING = ("rollback", "cleanup", "local", "local_rollback")
STORY_OF = {"InventoryPage": "refresh", "CatalogPage": "refresh", "NodeControl": "gc"}
RECORDS = {"worker": ("worker", "step", "identity", "chunks", "ledger", "result"),
           "migration": ("job", "run", "crash")}
MOVES = {"rollback": ("SCHEDULED", "DISCOVERED", "UPLOADING", "DEPLOYED", "VERIFIED", "ROLLING_BACK",
                      "ROLLED_BACK"),
         "cleanup": ("CLEANING", "CLEANED"), "cancel": ("CANCELLING", "CANCELLED"),
         "retry": ("FAILED", "PENDING", "DEPLOYED"), "fail": ("FAILED", "ROLLING_BACK", "ROLLED_BACK"),
         "local": ("CONVERTING",)}
VERBS = {"refresh": "refresh", "test": "refresh", "rollback": "rollback", "cleanup": "cleanup", "cancel": "cancel",
         "retry": "retry", "gc": "gc", "delete": "delete", "drain": "drain", "enable": "drain", "disable": "drain"}


@dataclasses.dataclass
class Row:
    points: tuple      # the last one does it; each before arms the next
    story: str
    action: str = "kill" # kill, or what the supervisor does when the worker has stopped there
    passes: int = 1    # of the first point
    beside: tuple = () # points that are armed too: (name, action)
    when: str = "start"

    @property
    def title(self):
        chain = " > ".join(self.points)
        more = f" x{self.passes}" if self.passes > 1 else ""
        beside = "".join(f" + {name}" for name, _ in self.beside)
        return f"{chain}{more} {self.action}{beside} ({self.story})"

    def arms(self):
        """{file: line}"""
        line = "kill" if self.action == "kill" else "stop"
        for point in reversed(self.points[1:]):
            line = f"arm {point} 1 {line}"
        return {self.points[0]: f"{self.passes} {line}", **{name: f"1 {action}" for name, action in self.beside}}


def read_points():
    """["worker.before_step", …] as the table has them."""
    names = []
    for line in TABLE.read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            names += [f"{who}.{words[1]}" for who in words[0].split(",")]
    return names


def migrate_steps():
    text = (TOP / "migration" / "job_migrate.c").read_text()
    table = re.search(r"static const struct step steps\[\] = \{(.*?)^\};", text, re.M | re.S).group(1)
    return re.findall(r'^\s*\{"(\w+)",', table, re.M)


def step_rows():
    for step in migrate_steps():
        stories = ("takeover",) if step in LATE_STEPS else ("rollback", "local")
        for story in stories:
            if story == "local" and step == "stop":
                continue  # such a machine is off
            for point in ("before_step", "after_deed", "after_step"):
                yield Row((f"worker.{point}:{step}",), story)
    for point in ("before_step", "after_step"):
        yield Row((f"worker.{point}:gc",), "gc")
    for step in LIST_STEPS:
        for point in ("before_step", "after_step"):
            yield Row((f"worker.{point}:{step}",), "refresh")
    for verb, stories in (("undo", ("rollback", "local_rollback")), ("accept", ("cleanup", "local"))):
        for story, kinds in zip(stories, KINDS.values()):
            for kind in kinds:
                for point in (f"before_step:{verb}:{kind}", f"after_step:{verb}:{kind}"):
                    yield Row((f"worker.{point}",), story)
                yield Row((f"worker.before_step:{verb}:{kind}", f"worker.after_deed:{kind}"), story)
    for point in ("before_step", "after_step"):
        yield Row((f"worker.{point}:check_settled",), "settled")


def ledger_rows():
    places = ("before_ledger_write", "ledger_answered", "after_ledger_write")
    for story, kinds in KINDS.items():
        forward, back = ("rollback", "rollback") if story == "fake" else ("local", "local_rollback")
        clean = "cleanup" if story == "fake" else "local"
        for kind in kinds:
            for place in places:
                for writing in ("intend", "made"):
                    yield Row((f"worker.{place}:{writing}:{kind}",), forward)
                for writing in ("claim", "settle"):
                    yield Row((f"worker.{place}:{writing}:{kind}",), back)
                    yield Row((f"worker.{place}:{writing}:{kind}",), clean)
            yield Row((f"worker.ledger_answered:intend:{kind}", "worker.after_fence"), forward)


def pause_rows():
    """Paused between answer and deed, for longer than the takeover, for each kind of entry."""
    for story, kinds in KINDS.items():
        forward, back = ("rollback", "rollback") if story == "fake" else ("local", "local_rollback")
        clean = "cleanup" if story == "fake" else "local"
        for kind in kinds:
            for writing, where in (("intend", forward), ("claim", back), ("claim", clean)):
                yield Row((f"worker.ledger_answered:{writing}:{kind}", "worker.after_fence"), where, "stop")


def journal_rows(chance):
    for who, records in RECORDS.items():
        for record in records:
            for place in ("before_journal_append", "before_journal_flush", "after_journal_flush"):
                passes = chance.randint(1, 4) if record in ("step", "ledger") else 1
                beside = (("worker.before_step:copy", "kill"),) if record == "crash" else ()
                yield Row((f"{who}.{place}:{record}",), "rollback", passes=passes, beside=beside)
    for place in ("before_data_flush", "after_data_flush"):
        for story in ("rollback", "local"):
            yield Row((f"worker.{place}",), story)


def worker_rows():
    for point in ("locked", "prepared", "before_result", "after_result"):
        for story in ("rollback", "cleanup", "cancel", "refresh"):
            yield Row((f"worker.{point}",), story, when="verb" if story in ("cleanup", "cancel") else "start")
    for point in ("before_page", "after_page"):
        for page in ("inventory", "catalogue"):
            yield Row((f"worker.{point}:{page}",), "refresh")
    yield Row(("worker.after_fence",), "rollback")


def node_rows():
    for message in TAKEN["migration"]:
        first, story = f"migration.after_message:{message}", STORY_OF.get(message, "rollback")
        yield Row((f"migration.before_message:{message}",), story)
        yield Row((first,), story)
        for place in ("before_ack", "after_ack"):
            yield Row((first, f"migration.{place}"), story)
    for point in ("worker_started", "worker_ended", "result_taken", "before_drop", "after_drop"):
        yield Row((f"migration.{point}",), "rollback")
        yield Row((f"migration.{point}",), "cancel", when="verb" if point == "after_drop" else "start")
    yield Row(("migration.recovered",), "rollback", beside=(("migration.worker_started", "kill"),))
    yield Row(("migration.recovered",), "local", beside=(("migration.result_taken", "kill"),))


def bus_rows(chance):
    for who, messages in SENT.items():
        for message in messages:
            story = STORY_OF.get(message, "rollback")
            passes = chance.randint(1, 5) if message in ("NodeReport", "LeaseRenew", "Change") else 1
            for place in ("before_publish", "after_publish"):
                yield Row((f"{who}.{place}:{message}",), story, passes=passes)


def scheduler_rows(chance):
    for message in TAKEN["scheduler"]:
        story = "cancel" if message == "Wake" else STORY_OF.get(message, "rollback")
        first, passes = f"scheduler.applied:{message}", chance.randint(1, 4) if message == "LedgerWrite" else 1
        yield Row((first,), story, passes=passes)
        for place in ("before_db_commit", "after_db_commit", "before_ack", "after_ack"):
            yield Row((first, f"scheduler.{place}"), story, passes=passes)
    for story, states in MOVES.items():
        for state in states:
            yield Row((f"scheduler.moved:{state}",), story)
            for place in ("before_db_commit", "after_db_commit"):
                yield Row((f"scheduler.moved:{state}", f"scheduler.{place}"), story)
    for verb, story in VERBS.items():
        yield Row((f"scheduler.wish_taken:{verb}",), story)
        for place in ("before_db_commit", "after_db_commit"):
            yield Row((f"scheduler.wish_taken:{verb}", f"scheduler.{place}"), story)
    for place in ("before_db_commit", "after_db_commit"):
        yield Row((f"scheduler.{place}",), "rollback")
    for place in ("before_db_change", "after_db_change"):  # a beat, every five seconds
        yield Row((f"scheduler.{place}",), "settled")
    for place in ("before_ack", "after_ack"):
        yield Row((f"scheduler.{place}",), "rollback", passes=chance.randint(1, 9))
    for following in ("", "before_db_commit", "after_db_commit"):
        points = ("scheduler.term_begun", f"scheduler.{following}") if following else ("scheduler.term_begun",)
        yield Row(points, "rollback", beside=(("scheduler.applied:JobAccept", "kill"),))


def api_rows():
    for place in ("before_db_commit", "after_db_commit", "before_publish:Wake", "after_publish:Wake"):
        yield Row((f"api.{place}",), "rollback")
    yield Row(("api.after_db_commit", "api.before_http_answer"), "rollback")
    for place in ("before_db_change", "after_db_change", "before_publish:Wake", "after_publish:Wake"):
        for story in ("rollback", "cleanup", "cancel"):
            yield Row((f"api.{place}",), story, when="verb")
    for place in ("before_db_change", "after_db_change"):
        yield Row((f"api.{place}",), "retry", when="verb")
    yield Row(("api.before_http_answer",), "rollback")
    yield Row(("api.after_db_change", "api.before_http_answer"), "cancel", when="verb")


def others(row):
    """The same point of a worker, at which its daemon dies, its node goes for good, or a cancel comes."""
    point = row.points[-1]
    if not point.startswith("worker.") or row.action != "kill" or row.beside:
        return
    yield dataclasses.replace(row, action="parent")
    forward = {"rollback": "cancel_there", "local": "local_cancel_there"}.get(row.story)
    if forward and any(word in point for word in FORWARD):
        yield dataclasses.replace(row, action="cancel", story=forward)
    if row.story in GOING and any(word in point for word in HALF_DONE):
        yield dataclasses.replace(row, action="gone")


def all_rows(chance):
    """Every row once; every point of the table is in some row, or this refuses to begin."""
    found = {}
    for part in (step_rows(), ledger_rows(), pause_rows(), journal_rows(chance), worker_rows(), node_rows(),
                 bus_rows(chance), scheduler_rows(chance), api_rows()):
        for row in part:
            for one in (row, *others(row)):
                found.setdefault(one.title, one)
    used = {point.split(":")[0] for row in found.values() for point in row.points}
    known = set(read_points())
    if used != known:
        raise SystemExit(f"matrix: points without a row: {sorted(known - used)}; rows without a point:"
                         f" {sorted(used - known)}")
    return list(found.values())
