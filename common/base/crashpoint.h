/* SPDX-License-Identifier: Apache-2.0
 *
 * Crash points: named places at which a process of a special build (meson's option "crashpoints")
 * kills or stops itself when a test has armed them. In every other build they compile to nothing.
 *
 * GUTS_CRASHPOINTS names a directory. The point "after_step" of a worker with the detail "copy" is
 * armed by the file "worker.after_step:copy" in it, one line "PASSES ACTION": at that pass the file
 * is renamed to "….fired" (so it happens once, whoever comes first), then ACTION is done:
 *
 *     kill        SIGKILL to this process alone
 *     stop        SIGSTOP: paused until somebody wakes it
 *     arm NAME …  the rest of the line arms another point: "B, the first time after A"
 *
 * If there is a file "trace" when a process starts, the names it passes are appended to it. The
 * points and who passes them stand in tests/chaos/points.
 *
 * Threads: any. errno stays as it was.
 */
#ifndef GUTS_BASE_CRASHPOINT_H
#define GUTS_BASE_CRASHPOINT_H

#include <stddef.h>

#ifdef GUTS_CRASHPOINTS
#define CRASHPOINT_ENVIRONMENT "GUTS_CRASHPOINTS"
/* Says who passes the points of this process: "worker", or a daemon's name with or without "guts-". */
void crashpoint_open(const char *process);
const char *crashpoint_directory(void); /* NULL: none */
/* A point by its name and at most two details, ended by NULL. */
void crashpoint_at(const char *point, ...) __attribute__((sentinel));
#define crashpoint(...) crashpoint_at(__VA_ARGS__, (const char *)NULL)
#else
static inline void crashpoint_ignore(const char *point, ...)
{
}
#define crashpoint_open(process) ((void)(process))
#define crashpoint_directory() ((const char *)NULL)
#define crashpoint(...)                                                                            \
    do {                                                                                           \
        if (0)                                                                                     \
            crashpoint_ignore(__VA_ARGS__);                                                        \
    } while (0)
#endif

#endif
