# SPDX-License-Identifier: Apache-2.0
"""clang-format has the last word on the form of C code."""
import re
import shutil
import subprocess

from tree import Skip

WARNING = re.compile(r"^(.*?):(\d+):\d+: (?:warning|error): code should be clang-formatted")


def check(tree):
    if shutil.which("clang-format") is None:
        raise Skip("clang-format is not installed")
    paths = [file.path for file in tree.c_files]
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], cwd=tree.root,
                            capture_output=True, text=True, check=False)
    seen = set()
    for line in result.stderr.split("\n"):
        match = WARNING.match(line)
        if match and match.group(1) not in seen:
            seen.add(match.group(1))
            yield f"{match.group(1)}:{match.group(2)}: not as clang-format writes it"
    if result.returncode != 0 and not seen:
        yield f".clang-format:1: clang-format failed: {result.stderr.strip()[:200]}"
