# SPDX-License-Identifier: Apache-2.0
"""Writes the numbered .sql files as one C table: embed.py FILE.sql… OUTPUT.c"""

import os
import re
import sys


def c_text(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(f'     "{line}\\n"' for line in escaped.splitlines())


def main(paths, output):
    entries = []
    for expected, path in enumerate(paths, start=1):
        name = os.path.basename(path).removesuffix(".sql")
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+", name)
        if not match or int(match[1]) != expected:
            sys.exit(f"{path}: the name must begin with {expected:04}_")
        with open(path, encoding="utf-8") as file:
            entries.append(f'    {{{expected}, "{name}",\n{c_text(file.read())}}},\n')
    with open(output, "w", encoding="utf-8") as file:
        file.write('/* SPDX-License-Identifier: Apache-2.0 */\n#include "common/store/schema.h"\n\n')
        file.write("const struct schema_file schema_files[] = {\n" + "".join(entries) + "};\n")
        file.write("const size_t schema_file_count = COUNT_OF(schema_files);\n")


main(sys.argv[1:-1], sys.argv[-1])
