# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts beside this file share. Sourced.

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

now_ms() {
    date +%s%3N
}

# COUNT free TCP ports of 127.0.0.1.
free_ports() {
    /usr/bin/python3 "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/ports.py" "$1"
}

random_word() {
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n'
}

port_answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Whether PID still runs the program that its file was written for: a number that was given to
# another process since is not ours to end. A zombie has ended.
pid_is_ours() {
    local pid=$1 program=$2 state
    [ -n "$pid" ] && [ -r "/proc/$pid/stat" ] || return 1
    state=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)
    [ "$state" != Z ] && [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$program"* ]] &&
        { tr '\0' '\n' <"/proc/$pid/environ"; } 2>/dev/null | grep -qxF "GUTS_PEER=$dir"
}

# Ends PID with SIGTERM, after SECONDS with SIGKILL; a frozen one is woken for it.
pid_end() {
    local pid=$1 program=$2 seconds=$3
    pid_is_ours "$pid" "$program" || return 0
    kill -TERM "$pid" 2>/dev/null
    kill -CONT "$pid" 2>/dev/null
    for ((i = 0; i < seconds * 20; i++)); do
        pid_is_ours "$pid" "$program" || return 0
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null
    while pid_is_ours "$pid" "$program"; do sleep 0.05; done
}

# A program in a session of its own, without our file descriptors; its id goes to the file PID.
detach() {
    local pid_file=$1 log=$2
    shift 2
    GUTS_PEER=$dir setsid "$@" </dev/null >>"$log" 2>&1 9>&- &
    echo $! >"$pid_file"
}

usage() {
    fail "usage: $(basename "$0") start DIR [OPTION…] | stop DIR | $1"
}
