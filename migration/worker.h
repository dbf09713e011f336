/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker: the process that runs one job. It finds its socket and its lease page at fixed
 * descriptors (child.h), takes the hand-over, locks the job's directory, goes into its cage, reads
 * the job from the journal, runs it, and leaves the result in the journal and with the daemon.
 *
 * Threads: it is a main function.
 */
#ifndef GUTS_MIGRATION_WORKER_H
#define GUTS_MIGRATION_WORKER_H

#define WORKER_VERB "--worker"

/* The exit status: 0 when a result was handed over. */
int worker_main(void);

#endif
