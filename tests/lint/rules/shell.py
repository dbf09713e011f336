# SPDX-License-Identifier: Apache-2.0
"""shellcheck reads every shell script."""
import re
import shutil
import subprocess

from tree import Skip

# Variables that a sourced file assigns, which shellcheck cannot follow.
SOURCED = "SC2154,SC1090,SC1091"
SHEBANG = re.compile(r"^#!\s*(/usr/bin/env\s+|/usr/bin/|/bin/)(ba|da)?sh\b")


def check(tree):
    if shutil.which("shellcheck") is None:
        raise Skip("shellcheck is not installed")
    scripts = [file.path for file in tree.files
               if file.name.endswith((".sh", ".bash")) or SHEBANG.match(file.text[:80])]
    if not scripts:
        return
    result = subprocess.run(["shellcheck", "-x", "-f", "gcc", "-S", "warning", "-e", SOURCED, *scripts],
                            cwd=tree.root, capture_output=True, text=True, check=False)
    yield from (line for line in result.stdout.split("\n") if line)
    if result.returncode != 0 and not result.stdout.strip():
        yield f"{scripts[0]}:1: shellcheck failed: {result.stderr.strip()[:200]}"
