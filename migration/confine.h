/* SPDX-License-Identifier: Apache-2.0
 *
 * Walls that a process puts around itself before it opens images of strangers: files by Landlock
 * (Linux 5.19 and later), system calls and kinds of sockets by a seccomp filter. Nobody can take them
 * down; children stand behind them too and may add their own. Made beforehand, entered by one call
 * that is safe between fork and exec. Knows nothing of jobs and tools.
 *
 * A kernel without one of the two is no error: confine_kinds says what there is, for the log.
 *
 * Threads: prepared by one; confine_enter concerns the calling thread and what it starts afterwards.
 */
#ifndef GUTS_MIGRATION_CONFINE_H
#define GUTS_MIGRATION_CONFINE_H

#include "common/base/error.h"
#include "common/base/memory.h"

enum confine_access {
    CONFINE_READ = 1,    /* files and directories */
    CONFINE_WRITE = 2,   /* and make, change, remove; no device nodes */
    CONFINE_RUN = 4,     /* execve */
    CONFINE_SOCKETS = 8, /* make and remove sockets in a directory, nothing else */
};
enum confine_flag {
    CONFINE_NETWORK = 1,    /* IPv4, IPv6 and what resolving names needs; else AF_UNIX alone */
    CONFINE_NO_CHILDREN = 2 /* threads, but no processes: what dies takes all of itself along */
};

struct confine;
/* FAULT_IO when the kernel has Landlock and refuses a ruleset. */
bool confine_new(unsigned flags, struct confine **ret_confine, struct error *err) MUST_CHECK;
void confine_free(struct confine *confine);
void confine_freep(struct confine **confine);
/* What lies at or beneath it; a path that is not there is passed over. */
void confine_path(struct confine *confine, const char *path, unsigned access);
void confine_fd(struct confine *confine, int fd, unsigned access); /* borrowed; O_PATH will do */
/* What every program here needs: libraries and data beneath /usr, the resolver's and TLS's files,
 * /proc and /sys to read, /dev/null and its like. */
void confine_system(struct confine *confine);
/* A program that may be run, by its path, and the loader of programs. */
void confine_tool(struct confine *confine, const char *path);
/* The process must have PR_SET_NO_NEW_PRIVS. 0, or errno: then it is confined in part or not at all
 * and must end. */
int confine_enter(const struct confine *confine);

/* "landlock 7, seccomp", "seccomp (no landlock)" … */
#define CONFINE_KINDS_SIZE 48
/* False when one of them is missing. */
bool confine_kinds(char ret_text[CONFINE_KINDS_SIZE]);

#endif
