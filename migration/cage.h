/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting tools of others (qemu-nbd, qemu-img, qemu-system, virsh) so that they cannot outlive,
 * block or flood us: a process group of its own, PDEATHSIG, an empty environment, no descriptor but
 * those passed, limits, an end in bounded time as a whole group. Knows nothing of what the tools do.
 * Nothing goes through a shell.
 *
 * Threads: a cage belongs to one thread at a time. The kernel sends PDEATHSIG when the *thread* that
 * started the tool ends: start long-lived tools from a thread that lives as long as they should.
 */
#ifndef GUTS_MIGRATION_CAGE_H
#define GUTS_MIGRATION_CAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "common/base/memory.h"

#define CAGE_TAIL_BYTES 4096
struct confine;

struct cage_plan {
    const char *const *argv;        /* NULL-terminated; argv[0] absolute, or found in CAGE_PATH */
    const char *const *environment; /* "NAME=value" beside PATH, LC_ALL=C and HOME; NULL: none */
    const char *directory;          /* to work in; NULL: "/" */
    const int *fds;                 /* stay open in the tool under the same numbers (> 2) */
    size_t fd_count;
    uint64_t memory_bytes;         /* of address space; 0: no limit */
    uint64_t file_bytes;           /* the largest file that it may write; 0: no limit */
    const struct confine *confine; /* walls beside those of this process; NULL: none */
    bool output_may_drop;          /* nobody reads while it runs: what does not fit is lost */
};
#define CAGE_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct cage;
/* FAULT_UNSUPPORTED when the tool is not installed. Its standard input is empty; standard output and
 * error come in one pipe. */
bool cage_start(const struct cage_plan *plan, struct cage **ret_cage, struct error *err) MUST_CHECK;
/* Ends what still runs of the group (SIGTERM, 2 s later SIGKILL), reaps it, frees. NULL is fine. */
void cage_close(struct cage *cage);
void cage_closep(struct cage **cage);
/* Takes what the tool wrote, waiting for it at most so long. ret_length 0 with true: nothing yet, or,
 * when *ret_end, it closed its output. */
bool cage_read(struct cage *cage, uint64_t timeout_ms, void *ret_data, size_t most,
               size_t *ret_length, bool *ret_end, struct error *err) MUST_CHECK;
/* True once it ended: then *ret_status is that of waitpid(2). Waits at most so long. */
bool cage_ended(struct cage *cage, uint64_t timeout_ms, int *ret_status);
/* The last lines that it wrote, as one line of printable text; borrowed until the next call. */
const char *cage_tail(struct cage *cage);

/* Whether the tool is installed. */
bool cage_has_tool(const char *name);
char *cage_tool(const char *name); /* its path, the caller's to free; NULL: not installed */

/* Starts a tool and waits for its end. What it wrote goes to `output` (may be NULL) up to `most`
 * bytes, the rest is dropped. go_on (may be NULL) is asked several times a second. Ends with
 * FAULT_TIMEOUT, go_on's error, or, for an exit status but 0, FAULT_IO and its last lines. */
struct cage_run {
    struct cage_plan plan;
    uint64_t timeout_ms;
    struct buffer *output;
    size_t most;
    bool (*go_on)(void *context, struct error *err);
    void *context;
};
bool cage_run(const struct cage_run *run, struct error *err) MUST_CHECK;

#endif
