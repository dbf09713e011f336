# SPDX-License-Identifier: Apache-2.0
"""The build with crash points, in a directory of its own: made when a test wants it."""
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GUTS_CRASH_BUILD", TOP / "build-crash"))
PROGRAMS = ("api/guts-api", "scheduler/guts-scheduler", "migration/guts-migration", "manage/guts-manage")


def build():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["/usr/bin/meson", "setup", BUILD, TOP, "-Dcrashpoints=true", "-Dtests=false"], check=True,
                       stdout=subprocess.DEVNULL)
    done = subprocess.run(["ninja", "-C", BUILD, *PROGRAMS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"the build with crash points failed\n{done.stdout[-3000:]}")
