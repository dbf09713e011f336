/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoders of compressed clusters with the room that they need, kept for the next cluster. For qcow2_read.c.
 *
 * Threads: an inflater belongs to who took it, until it is given back.
 */
#ifndef GUTS_MIGRATION_DISK_QCOW2_INFLATE_H
#define GUTS_MIGRATION_DISK_QCOW2_INFLATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qcow2_inflater {
    struct qcow2_inflater *next;
    void *decoder;    /* of libdeflate or of libzstd */
    uint8_t *packed;  /* two clusters long */
    uint8_t *cluster; /* for who wants only a part of one */
    uint64_t held;    /* the entry of what stands there; 0: nothing */
};
struct qcow2_inflaters {
    size_t cluster_bytes;
    bool zstd;
    unsigned most;
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct qcow2_inflater *idle;
    unsigned made;
};
void qcow2_inflaters_init(struct qcow2_inflaters *inflaters, size_t cluster_bytes, bool zstd);
/* What they may come to hold: disk_decoders at most. */
uint64_t qcow2_inflaters_bytes(const struct qcow2_inflaters *inflaters);
void qcow2_inflaters_fini(struct qcow2_inflaters *inflaters);
/* Waits while all are in use. Rather one that holds the cluster of that entry than another. */
struct qcow2_inflater *qcow2_inflater_take(struct qcow2_inflaters *inflaters, uint64_t entry);
void qcow2_inflater_give(struct qcow2_inflaters *inflaters, struct qcow2_inflater *inflater);
/* Of the `length` bytes in packed, which may be followed by what is no part of it; false: damaged, or not
 * exactly one cluster. */
bool qcow2_inflate(const struct qcow2_inflaters *inflaters, struct qcow2_inflater *inflater,
                   size_t length, uint8_t *ret_cluster);

#endif
