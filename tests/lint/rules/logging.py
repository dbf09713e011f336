# SPDX-License-Identifier: Apache-2.0
"""Rooms below the daemons return errors: they never log above debug."""
import re

BELOW = ("common/base/", "common/conf/", "common/json/", "common/http/", "common/db/", "common/store/",
         "proto/", "client/lib/", "migration/disk/")
LOUD = re.compile(r"\b(log_info|log_warn|log_error|log_fault|LOG_(?:INFO|WARN|ERROR)_LEVEL)\b")


def check(tree):
    for file in tree.product:
        program = file.name == "main.c"  # a tool of its own is nobody's library
        if not file.path.startswith(BELOW) or file.path.startswith("common/base/log.") or program:
            continue
        for match in LOUD.finditer(file.code):
            yield file.breach(file.line_of(match.start()), f"{match.group(1)}: return an error instead")
