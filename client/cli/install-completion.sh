#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bash finds a completion by the command's name, which a build target of that name occupies already.
set -eu
to="$MESON_INSTALL_DESTDIR_PREFIX/$1/bash-completion/completions"
mkdir -p "$to"
cp "$MESON_BUILD_ROOT/client/cli/guts.bash" "$to/guts"
