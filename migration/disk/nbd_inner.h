/* SPDX-License-Identifier: Apache-2.0
 *
 * Between nbd.c (the disk over connections) and nbd_qemu.c (the program behind them).
 */
#ifndef GUTS_MIGRATION_DISK_NBD_INNER_H
#define GUTS_MIGRATION_DISK_NBD_INNER_H

#include <libnbd.h>
#include <sys/types.h>

#include "migration/disk/nbd.h"

#define NBD_CONNECTIONS 4u

/* Opens one connection; false with err. */
struct nbd_address {
    const char *uri;    /* or */
    const char *socket; /* of a Unix socket */
};
struct qemu_process;
struct nbd_plan {
    struct nbd_address address;
    bool writable;
    char *description;            /* taken */
    char *identity;               /* taken */
    int identity_fd;              /* taken: the file that it tells of; -1: none */
    struct qemu_process *process; /* taken: ended with the disk; NULL: none */
};
/* What the plan gives is taken, on failure too. */
bool nbd_open(const struct nbd_plan *plan, struct disk **ret_disk, struct error *err) MUST_CHECK;

/* Ends it (SIGTERM, then SIGKILL) and frees. False when it did not end cleanly. */
bool qemu_process_end(struct qemu_process *process, struct error *err) MUST_CHECK;
/* Has it ended, or does it within a second? Then err says with what last words. */
bool qemu_process_is_ending(struct qemu_process *process, struct error *err);

#endif
