/* SPDX-License-Identifier: Apache-2.0
 *
 * What a daemon tells its worker at its start, beside the job itself (which stands in the journal):
 * the directory, the roots, the limits. Travels as JSON in the channel's first frame; it holds no
 * secret, only the path of the file that opens seals.
 *
 * Threads: plain data; texts live in the arena or where they came from.
 */
#ifndef GUTS_MIGRATION_HANDOVER_H
#define GUTS_MIGRATION_HANDOVER_H

#include "common/base/memory.h"
#include "migration/node_settings.h"

struct handover {
    const char *directory;
    const char *private_key;
    uint32_t run;
    struct conf_strings roots_read;
    struct conf_strings roots_write;
    struct conf_strings urls;
    struct worker_settings worker;
};
void handover_pack(const struct handover *handover, struct buffer *ret_packed);
bool handover_unpack(const char *data, size_t length, struct arena *arena,
                     struct handover *ret_handover, struct error *err) MUST_CHECK;

#endif
