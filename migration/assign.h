/* SPDX-License-Identifier: Apache-2.0
 *
 * An Assignment as plain data: what both the daemon (to decide) and the worker (to do it) read of it.
 *
 * Threads: plain data; everything lives in the arena it was unpacked into.
 */
#ifndef GUTS_MIGRATION_ASSIGN_H
#define GUTS_MIGRATION_ASSIGN_H

#include "common/base/memory.h"
#include "proto/lifecycle.h"
#include "proto/vm.h"
#include "proto/words.h"

struct endpoint {
    struct uuid id;
    const char *driver; /* "" when the job has no such end */
    const char *name;
    const char *settings_json;
    const char *address;
    const void *seal;
    size_t seal_length;
    const char *seal_key_id;
};
struct assign {
    struct token token; /* run is 0 */
    enum job_kind kind;
    enum owner_kind owner_kind;
    struct uuid owner;
    struct endpoint source;
    struct endpoint destination;
    struct vm *vm; /* as last discovered; NULL for jobs without one */
    const char *options_json;
    const char *server_name; /* "" when nobody chose one */
    const char *request_json;
    struct ledger_entry *ledger;
    size_t ledger_count;
    enum migration_state state;
    struct uuid pool;
    uint64_t reserved_bytes;
    uint64_t bytes_per_second;
    bool dry_run;
};
/* FAULT_MESSAGE_POISON, FAULT_TOO_LARGE. The bytes may go after it. */
bool assign_unpack(const void *data, size_t length, struct arena *arena, struct assign *ret_assign,
                   struct error *err) MUST_CHECK;
/* The end that a test, discover or catalog job is about. */
enum end assign_end(const struct assign *assign);

#endif
