# SPDX-License-Identifier: Apache-2.0
"""Words: nothing unfinished, the design's nouns, nobody else's prefixes."""
import re

from rules.size import functions

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XXX|HACK)\b")
# Words that the design has others for; as parts of identifiers in our C code.
FOREIGN = re.compile(r"\b\w*(hypervisor|plugin)\w*\b", re.I)
OWNED = re.compile(r"(config|json|mysql|amqp|curl|MHD|sodium|xml|archive)_")
WORKPLACE = re.compile(r"(?<![\w./])/work/(?!list)")
TEXTS = (".c", ".h", ".py", ".sh", ".sql", ".proto", ".build", ".conf", ".service", ".md", ".yaml", ".js",
         ".jsx", ".ts", ".tsx")


def check_owned(file):
    defined = [(name, line) for name, line, _ in functions(file)]
    for name, line in defined:
        if OWNED.match(name):
            yield file.breach(line, f"{name}: the prefix belongs to a library")


def check(tree):
    for file in tree.files:
        if not file.name.endswith(TEXTS) and not file.text.startswith("#!"):
            continue
        if file.path.startswith("tests/lint/"):
            continue
        for number, line in enumerate(file.lines, 1):
            match = UNFINISHED.search(line)
            if match:
                yield file.breach(number, f"{match.group(0)}: finish it, or say in the README what is missing")
            if WORKPLACE.search(line):
                yield file.breach(number, "a path of somebody's machine")
        if not file.is_c:
            continue
        for match in FOREIGN.finditer(file.code):
            yield file.breach(file.line_of(match.start()), f"{match.group(0)}: not a word of the design")
        if not file.is_test:
            yield from check_owned(file)
