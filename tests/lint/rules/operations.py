# SPDX-License-Identifier: Apache-2.0
"""A driver's function that nobody calls is not there: each one of an interface has a caller."""
import re

STRUCT = re.compile(r"^struct (\w*(?:_ops|driver|source|destination))\s*\{(.*?)^\};", re.M | re.S)
POINTER = re.compile(r"\(\*(\w+)\)\s*\(")


def check(tree):
    calls = set()
    for file in tree.product:
        calls.update(re.findall(r"(?:->|\.)\s*(\w+)\s*\(", file.code))
    for file in tree.product:
        for struct in STRUCT.finditer(file.code):
            for pointer in POINTER.finditer(struct.group(2)):
                if pointer.group(1) not in calls:
                    yield file.breach(file.line_of(struct.start(2) + pointer.start()),
                                      f"nobody calls {struct.group(1)}.{pointer.group(1)}")
