/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes of workers: starting one in its cage (own process group, dies with the daemon, no new
 * privileges, closed descriptors, limits), ending it with all its children, and ending one that a
 * former daemon left. Knows nothing of jobs.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_CHILD_H
#define GUTS_MIGRATION_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"

/* Where a worker finds its socket and its lease page. */
#define CHILD_SOCKET_FD 3
#define CHILD_LEASE_FD 4

struct child_limits {
    uint64_t memory_bytes; /* RLIMIT_DATA, soft: tools that need more may raise theirs; 0: none */
    uint64_t open_files;
};
struct child {
    pid_t pid;     /* 0: none */
    int pid_fd;    /* readable when it has ended */
    int socket_fd; /* the daemon's end */
    int stderr_fd; /* what it says, non-blocking */
};
/* Runs /proc/self/exe with `verb` as its one argument and an environment of its own. */
bool child_start(const char *verb, int lease_fd, const struct child_limits *limits,
                 struct child *ret_child, struct error *err) MUST_CHECK;
/* Reaps a child that has ended; returns its wait status. Closes the descriptors. */
int child_reap(struct child *child);
/* Kills it and reaps it; closes the descriptors. False: it has not ended within two seconds, as one that
 * waits in the kernel for a file server that is dead. It runs no more of its code, keeps its locks and is
 * reaped when another worker is started. */
bool child_end(struct child *child);
/* "exit status 3", "signal 11 (Segmentation fault)". */
#define CHILD_STATUS_SIZE 64
void child_describe(int status, char ret_text[CHILD_STATUS_SIZE]);

/* What tells a process from a later one with the same id. */
struct child_mark {
    pid_t pid;
    uint64_t start_time; /* field 22 of /proc/<pid>/stat */
    char boot_id[37];
};
bool child_mark_self(struct child_mark *ret_mark, struct error *err) MUST_CHECK;
/* Kills the marked process and its group if it still lives; waits at most timeout_ms for its end. */
bool child_end_marked(const struct child_mark *mark, uint64_t timeout_ms,
                      struct error *err) MUST_CHECK;

/* Called by the worker on itself: its memory, in which secrets are opened, goes into no core file (one
 * that is piped to a program heeds no limit) and is read by no other process of its user. */
bool child_hide_self(struct error *err) MUST_CHECK;
/* Called by the worker on itself: takes away every capability but those that open files. */
bool child_drop_privileges(struct error *err) MUST_CHECK;

#endif
