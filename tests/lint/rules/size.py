# SPDX-License-Identifier: Apache-2.0
"""No file over 500 lines, no function over 80."""
import re

FILE_MOST = 500
FUNCTION_MOST = 80
# "path:function": why it is better long. Keep this list short.
EXCEPTIONS = {}


def functions(file):
    """(name, first line, lines) of each function: its body begins and ends at column 0."""
    start = None
    lines = file.code.split("\n")
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            head = " ".join(lines[max(0, start - 6):start])
            names = re.findall(r"(\w+)\s*\([^;{}]*$", head[head.rfind("}") + 1:])
            yield names[0] if names else "?", start + 1, number - start - 1
            start = None


def check(tree):
    known = set()
    for file in tree.files:
        if not file.is_c and not file.name.endswith((".py", ".sh", ".sql", ".proto")):
            continue
        count = len(file.lines) - 1
        if count > FILE_MOST:
            yield file.breach(FILE_MOST, f"{count} lines, at most {FILE_MOST}")
        for name, line, length in functions(file) if file.is_c else ():
            key = f"{file.path}:{name}"
            known.add(key)
            if length > FUNCTION_MOST and key not in EXCEPTIONS:
                yield file.breach(line, f"{name} has {length} lines, at most {FUNCTION_MOST}")
    for key in EXCEPTIONS:
        if key not in known:
            yield f"tests/lint/rules/size.py:1: the exception {key} fits nothing"
