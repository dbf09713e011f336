# SPDX-License-Identifier: Apache-2.0
"""Crash points stand in tests/chaos/points, and around all that may be lost: steps, ledger, journal, bus, commits."""
import re

TABLE = "tests/chaos/points"
USE = re.compile(r'\bcrashpoint\(\s*"(\w+)"')
FUNCTION = re.compile(r"^(?:[a-z][^\n;{}]*\n?[^\n;{}]*)\)\n\{\n(.*?)^\}", re.M | re.S)

# (what is done, the point before it, the point behind it); each stands in one function.
DEEDS = (
    ("a step", r"\bwork_tell_step\([^;]*\bWORK_STEP_RUNNING\b", "before_step", "after_step"),
    ("a step's deed", r"\bstep->run\(", "before_step", "after_deed"),
    ("an undoing", r"\bdeed\(run, &claimed", None, "after_deed"),
    ("a ledger entry", r"\bask\(work, &", "before_ledger_write", "after_ledger_write"),
    ("a ledger's answer", r"\bawait_answer\(work, &", None, "ledger_answered"),
    ("a journal's record", r"\bfile_pwrite_all\(journal->fd", "before_journal_append", "before_journal_flush"),
    ("a journal's flush", r"\bfdatasync\(journal->fd", None, "after_journal_flush"),
    ("a flush of data", r"\bplan->flushed\(plan", "before_data_flush", None),
    ("a message", r"\bops->publish\(", "before_publish", "after_publish"),
    ("an acknowledgement", r"\bops->ack\(", "before_ack", "after_ack"),
    ("a commit", r"\bdb_run_text\([^;]*\bDB_DEED_COMMIT\b", "before_db_commit", "after_db_commit"),
    ("a change by itself", r"\bsend\(db, statement, binds", "before_db_change", "after_db_change"),
)


def read_table(tree):
    """{point: line} of the table."""
    points = {}
    for number, line in enumerate(tree.by_path[TABLE].lines, 1):
        words = line.split("#")[0].split()
        if words:
            points[words[1] if len(words) > 1 else words[0]] = number
    return points


def check(tree):
    if TABLE not in tree.by_path:
        yield f"{TABLE}:1: the table of crash points is gone"
        return
    points, used = read_table(tree), set()
    sources = [file for file in tree.product if not file.path.startswith("common/base/crashpoint")]
    for file in sources:
        for use in USE.finditer(file.text):
            used.add(use.group(1))
            if use.group(1) not in points:
                yield file.breach(file.line_of(use.start()), f'crash point "{use.group(1)}" is not in {TABLE}')
    for point, line in points.items():
        if point not in used:
            yield tree.by_path[TABLE].breach(line, f'crash point "{point}" is nowhere in the code')
    for deed in DEEDS:
        yield from check_deed(sources, *deed)


def check_deed(sources, what, pattern, before, after):
    files = [file for file in sources if re.search(pattern, file.code)]
    if not files:
        yield f"tests/lint/rules/crashpoints.py:1: {what} stands nowhere: the rule has gone blind"
    for file in files:
        for function in FUNCTION.finditer(file.code):
            start, end = function.span(1)
            for deed in re.finditer(pattern, function.group(1)):
                at = start + deed.start()
                uses = [(use.start(), use.group(1)) for use in USE.finditer(file.text, start, end)]
                if before and not any(place < at and name == before for place, name in uses):
                    yield file.breach(file.line_of(at), f'{what} without crash point "{before}" before it')
                if after and not any(place > at and name == after for place, name in uses):
                    yield file.breach(file.line_of(at), f'{what} without crash point "{after}" behind it')
