# SPDX-License-Identifier: Apache-2.0
"""Every configuration key is read: its field is used somewhere beside its table."""
import re

# Fields of settings structs, however their table is written, and keys of tables written in full.
STRUCT = re.compile(r"^struct \w+_settings \{(.*?)^\};", re.M | re.S)
FIELD = re.compile(r"\b(\w+)\s*(?=[;,])")
KEY = re.compile(r'\{\s*"(\w+)",\s*CONF_\w+,\s*offsetof\(\s*struct \w+,\s*([\w.]+)\s*\)', re.S)


def fields(tree):
    """(file, offset, field) of all that a configuration can set."""
    for file in tree.product:
        for struct in STRUCT.finditer(file.code):
            for match in FIELD.finditer(struct.group(1)):
                yield file, struct.start(1) + match.start(), match.group(1)
        for match in KEY.finditer(file.text):
            yield file, match.start(), match.group(2).split(".")[-1]


def check(tree):
    reads = set()
    for file in tree.product:
        reads.update(re.findall(r"->\s*(\w+)\b", file.code))
        reads.update(re.findall(r"\.(\w+)\b(?!\s*=[^=])", re.sub(r"offsetof\([^)]*\)", "", file.code)))
    for file, offset, field in fields(tree):
        if field not in reads:
            yield file.breach(file.line_of(offset), f'nobody reads the setting "{field}"')
