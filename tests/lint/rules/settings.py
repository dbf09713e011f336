# SPDX-License-Identifier: Apache-2.0
"""Every configuration key is read: its field is used somewhere beside its table."""
import re

KEY = re.compile(r'\{\s*"(\w+)",\s*CONF_\w+,\s*offsetof\(\s*struct (\w+),\s*([\w.]+)\s*\)', re.S)


def check(tree):
    tables = [(file, match) for file in tree.product for match in KEY.finditer(file.text)]
    for file, match in tables:
        field = match.group(3).split(".")[-1]
        use = re.compile(r"(->|\.)\s*" + re.escape(field) + r"\b")
        if not any(is_read(other, use, match.group(0)) for other in tree.product):
            yield file.breach(file.line_of(match.start()),
                              f'nobody reads "{match.group(1)}" (struct {match.group(2)}, {field})')


def is_read(file, use, own):
    """A use that is no designated initialiser and no part of the key's own table line."""
    text = file.code.replace(own, "")
    return any(not re.match(r"\s*=[^=]", text[match.end():]) or match.group(1) == "->"
               for match in use.finditer(text))
