# SPDX-License-Identifier: Apache-2.0
"""The files of the tree as the rules see them."""
import os
import re
import subprocess


class Skip(Exception):
    """A rule cannot be judged here; the text says why."""


class File:
    """One file: `path` from the root, its text, and what it is."""

    def __init__(self, root, path):
        self.root = root
        self.path = path
        self.folder, self.name = os.path.split(path)
        self._text = None
        self._code = None

    @property
    def text(self):
        if self._text is None:
            with open(os.path.join(self.root, self.path), encoding="utf-8", errors="replace") as file:
                self._text = file.read()
        return self._text

    @property
    def lines(self):
        return self.text.split("\n")

    @property
    def is_c(self):
        return self.path.endswith((".c", ".h"))

    @property
    def is_test(self):
        return self.path.startswith("tests/")

    @property
    def code(self):
        """The C text with comments and the insides of literals blanked, lines kept."""
        if self._code is None:
            self._code = blank(self.text)
        return self._code

    def breach(self, line, text):
        return f"{self.path}:{line}: {text}"

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text):
    def replace(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)
    return TOKEN.sub(replace, text)


def strings(text):
    """(offset, content) of each string literal outside of comments."""
    for match in TOKEN.finditer(text):
        if match.group(0)[0] == '"':
            yield match.start(), match.group(0)[1:-1]


class Tree:
    def __init__(self, root):
        self.root = str(root)
        self.files = [File(self.root, path) for path in sorted(self._paths())]
        self.by_path = {file.path: file for file in self.files}

    def _paths(self):
        try:
            listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                                     "--exclude-standard"], cwd=self.root, check=True,
                                    capture_output=True).stdout.decode().split("\0")
        except (OSError, subprocess.CalledProcessError):
            listed = list(self._walk())  # an unpacked archive
        return {path for path in listed
                if path and os.path.isfile(os.path.join(self.root, path))
                and not os.path.islink(os.path.join(self.root, path))}

    def _walk(self):
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders
                          if not name.startswith("build") and name not in ("__pycache__", ".git")]
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    @property
    def c_files(self):
        return [file for file in self.files if file.is_c]

    @property
    def product(self):
        """The C files that are built into programs."""
        return [file for file in self.c_files if not file.is_test]
