# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence in its first lines."""

KINDS = (".c", ".h", ".py", ".sh", ".sql", ".proto", ".build", ".conf", ".service", ".timer", ".yaml",
         ".yml", ".js", ".jsx", ".ts", ".tsx", ".css", ".bash", "meson_options.txt")


def is_source(file):
    if file.name.endswith(KINDS):
        return True
    return "." not in file.name and file.text.startswith("#!")


def check(tree):
    for file in tree.files:
        if not is_source(file):
            continue
        head = file.text[:400].split("\n")[:5]
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in head):
            yield file.breach(1, "no line \"SPDX-License-Identifier: Apache-2.0\"")
