# SPDX-License-Identifier: Apache-2.0
"""SQL stands in common/store and common/db only."""
import re

from tree import strings

SQL = re.compile(r"\b(SELECT\s.*\bFROM|SELECT\s+\w+\(|INSERT\s+(IGNORE\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|"
                 r"REPLACE\s+INTO|(CREATE|ALTER|DROP)\s+TABLE|START\s+TRANSACTION|FOR\s+UPDATE|"
                 r"ON\s+DUPLICATE\s+KEY)\b")


def check(tree):
    for file in tree.product:
        if file.path.startswith(("common/store/", "common/db/")):
            continue
        for offset, content in strings(file.text):
            if SQL.search(content):
                yield file.breach(file.line_of(offset), "SQL outside of common/store")
