# SPDX-License-Identifier: Apache-2.0
"""The closed list of faults: each one declared, defined with title and hint, listed, used."""
import re

DECLARED = re.compile(r"extern const struct fault (FAULT_\w+);")
DEFINED = re.compile(r"^const struct fault (FAULT_\w+)\s*=\s*\{(.*?)\};", re.M | re.S)
LITERAL = re.compile(r'"((?:\\.|[^"\\])*)"')
TABLE = "proto/fault.c"


def fields(body):
    """The initialiser's parts, with adjacent literals joined."""
    parts, depth, start, quoted = [], 0, 0, False
    for at, character in enumerate(body):
        if character == '"' and body[at - 1:at] != "\\":
            quoted = not quoted
        elif not quoted and character in "({":
            depth += 1
        elif not quoted and character in ")}":
            depth -= 1
        elif not quoted and character == "," and depth == 0:
            parts.append(body[start:at])
            start = at + 1
    parts.append(body[start:])
    return ["".join(LITERAL.findall(part)) if '"' in part else part.strip() for part in parts]


def check_definition(file, match, codes):
    line = file.line_of(match.start())
    parts = fields(match.group(2))
    if len(parts) < 5:
        yield file.breach(line, f"{match.group(1)} lacks a part: code, retry, status, title, hint")
        return
    code, title, hint = parts[0], parts[3], parts[4]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", code):
        yield file.breach(line, f"{match.group(1)}: the code {code!r} is no lower-case word")
    if code in codes:
        yield file.breach(line, f"{match.group(1)}: the code {code!r} stands there twice")
    codes.add(code)
    if not title or not hint:
        yield file.breach(line, f"{match.group(1)} has no title or no hint")


def check(tree):
    declared, defined, used, codes = {}, set(), set(), set()
    for file in tree.product:
        for match in DECLARED.finditer(file.text):
            declared[match.group(1)] = (file, file.line_of(match.start()))
        for match in DEFINED.finditer(file.text):
            defined.add(match.group(1))
            yield from check_definition(file, match, codes)
        if file.path.endswith(".c") and file.path != TABLE:
            used.update(re.findall(r"&(FAULT_\w+)", file.code))
    table = tree.by_path.get(TABLE)
    listed = set(re.findall(r"&(FAULT_\w+)", table.code)) if table else set()
    for name, (file, line) in declared.items():
        if name not in defined:
            yield file.breach(line, f"{name} is declared and not defined")
        if name not in listed:
            yield file.breach(line, f"{name} is not in the table of {TABLE}")
        if name not in used:
            yield file.breach(line, f"{name} is set nowhere")
    for name in sorted(listed - set(declared)):
        yield f"{TABLE}:1: {name} is listed and declared nowhere"
