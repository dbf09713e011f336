/* SPDX-License-Identifier: Apache-2.0
 *
 * An image's bytes, read out of Glance: by ranges where its store serves them (files, Cinder), else by
 * downloads from the beginning on (Ceph's RBD, Swift, S3 and HTTP: Glance answers a range with 400 there).
 * A token that is refused is renewed, at the start and in the middle.
 *
 * Meant to be read upwards, tables and data in turns. Threads: as disk.h.
 */
#ifndef GUTS_MIGRATION_OPENSTACK_GLANCE_DISK_H
#define GUTS_MIGRATION_OPENSTACK_GLANCE_DISK_H

#include <pthread.h>

#include "migration/disk/disk.h"
#include "migration/openstack/link.h"

struct glance_disk_plan {
    struct link *link; /* outlives the disk, as does the mutex */
    /* Taken while the link's session is used by this disk; NULL: nobody else uses it meanwhile. The one who
     * opens the disk does not hold it. */
    pthread_mutex_t *mutex;
    const char *image_id;
    /* Call it random where ranges are served: a jump is a request. */
    bool random;
    uint64_t memory_bytes; /* see struct http_plan */
};
bool glance_disk_open(const struct glance_disk_plan *plan, struct disk **ret_disk,
                      struct error *err) MUST_CHECK;

#endif
