/* SPDX-License-Identifier: Apache-2.0
 *
 * The seccomp filter behind confine.h: a list of system calls that no driver and no tool of ours has a
 * use for and that have opened cages before (namespaces, mounts, keys, BPF, tracing, handles of files),
 * kinds of sockets, new processes. What is not on the list passes: libraries and tools change what they
 * call with each release, and a job that dies of it is no safety.
 *
 * Written as BPF by hand rather than with libseccomp, whose calls allocate memory: it must be possible
 * to enter between fork and exec of a process with threads.
 */
#ifndef GUTS_MIGRATION_CONFINE_FILTER_H
#define GUTS_MIGRATION_CONFINE_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#define CONFINE_FILTER_MOST 192

struct confine_filter {
    struct sock_filter code[CONFINE_FILTER_MOST];
    size_t count;
};
/* flags of confine.h. A machine whose calls we do not know gets an empty filter. */
void confine_filter_make(struct confine_filter *filter, unsigned flags);
int confine_filter_enter(const struct confine_filter *filter); /* 0 or errno */
bool confine_filter_possible(void);

#endif
