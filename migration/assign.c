/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/assign.h"

#include "proto/codec.h"
#include "proto/fault.h"

static bool take_endpoint(const Guts__V1__Endpoint *from, struct endpoint *ret_endpoint,
                          struct error *err)
{
    *ret_endpoint = (struct endpoint){
        .driver = "", .name = "", .settings_json = "", .address = "", .seal_key_id = ""};
    if (!from)
        return true;
    if (!codec_uuid(from->id, &ret_endpoint->id))
        return error_set(err, &FAULT_MESSAGE_POISON, "an end without an id");
    ret_endpoint->driver = from->driver;
    ret_endpoint->name = from->name;
    ret_endpoint->settings_json = from->settings_json;
    ret_endpoint->address = from->address;
    ret_endpoint->seal = from->seal.data;
    ret_endpoint->seal_length = from->seal.len;
    ret_endpoint->seal_key_id = from->seal_key_id;
    return true;
}

static bool take_ledger(const Guts__V1__Assignment *message, struct arena *arena,
                        struct assign *assign, struct error *err)
{
    assign->ledger = arena_calloc(arena, message->n_ledger + 1, sizeof(*assign->ledger));
    for (size_t i = 0; i < message->n_ledger; i++) {
        if (!codec_ledger_entry(message->ledger[i], &assign->ledger[i], err))
            return false;
    }
    assign->ledger_count = message->n_ledger;
    return true;
}

static bool take_vm(const Guts__V1__Assignment *message, struct arena *arena, struct assign *assign,
                    struct error *err)
{
    if (!message->vm)
        return true;
    assign->vm = arena_alloc(arena, sizeof(*assign->vm));
    return codec_vm(message->vm, arena, assign->vm, err);
}

bool assign_unpack(const void *data, size_t length, struct arena *arena, struct assign *ret_assign,
                   struct error *err)
{
    const Guts__V1__Assignment *message = (const Guts__V1__Assignment *)codec_unpack(
        &guts__v1__assignment__descriptor, data, length, arena, err);
    if (!message)
        return false;
    struct assign assign = {
        .kind = codec_job_kind(message->kind),
        .owner_kind = codec_owner_kind(message->owner_kind),
        .options_json = message->options_json,
        .server_name = message->server_name,
        .request_json = message->request_json,
        .state = codec_migration_state(message->state),
        .reserved_bytes = message->reserved_bytes,
        .bytes_per_second = message->limits ? message->limits->bytes_per_second : 0,
        .dry_run = message->dry_run,
    };
    if (!codec_token(message->token, &assign.token) ||
        !codec_uuid(message->owner_id, &assign.owner))
        return error_set(err, &FAULT_MESSAGE_POISON, "a job without token or owner");
    if (assign.kind == JOB_UNKNOWN || assign.owner_kind == OWNER_UNKNOWN)
        return error_set(err, &FAULT_VERSION_UNSUPPORTED, "a job of an unknown kind");
    if (message->pool.len > 0 && !codec_uuid(message->pool, &assign.pool))
        return error_set(err, &FAULT_MESSAGE_POISON, "a pool without an id");
    if (!take_endpoint(message->source, &assign.source, err) ||
        !take_endpoint(message->destination, &assign.destination, err) ||
        !take_ledger(message, arena, &assign, err) || !take_vm(message, arena, &assign, err))
        return false;
    *ret_assign = assign;
    return true;
}

enum end assign_end(const struct assign *assign)
{
    return assign->owner_kind == OWNER_SOURCE ? END_SOURCE : END_DESTINATION;
}
