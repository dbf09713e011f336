/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/codec.h"

#include <string.h>

#include "proto/fault.h"
#include "proto/text.h"

/* -- packing and unpacking ---------------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *const descriptors[] = {
    [MESSAGE_WAKE] = &guts__v1__wake__descriptor,
    [MESSAGE_JOB_ASSIGN] = &guts__v1__job_assign__descriptor,
    [MESSAGE_LEASE_RENEW] = &guts__v1__lease_renew__descriptor,
    [MESSAGE_LEDGER_ANSWER] = &guts__v1__ledger_answer__descriptor,
    [MESSAGE_NODE_CONTROL] = &guts__v1__node_control__descriptor,
    [MESSAGE_NODE_REPORT] = &guts__v1__node_report__descriptor,
    [MESSAGE_JOB_ACCEPT] = &guts__v1__job_accept__descriptor,
    [MESSAGE_JOB_REFUSE] = &guts__v1__job_refuse__descriptor,
    [MESSAGE_LEDGER_WRITE] = &guts__v1__ledger_write__descriptor,
    [MESSAGE_JOB_FINISHED] = &guts__v1__job_finished__descriptor,
    [MESSAGE_INVENTORY_PAGE] = &guts__v1__inventory_page__descriptor,
    [MESSAGE_CATALOG_PAGE] = &guts__v1__catalog_page__descriptor,
    [MESSAGE_CHANGE] = &guts__v1__change__descriptor,
};

void codec_pack(const ProtobufCMessage *message, struct buffer *ret_packed)
{
    size_t length = protobuf_c_message_get_packed_size(message);

    buffer_reserve(ret_packed, length);
    protobuf_c_message_pack(message, (uint8_t *)ret_packed->data + ret_packed->length);
    ret_packed->length += length;
    ret_packed->data[ret_packed->length] = 0;
}

size_t codec_packed_bytes(const ProtobufCMessage *message)
{
    return protobuf_c_message_get_packed_size(message);
}

/* protobuf-c's allocator over an arena, with what may still be taken. */
struct allowance {
    struct arena *arena;
    size_t left;
};

static void *allowance_alloc(void *context, size_t size)
{
    struct allowance *allowance = context;

    if (size > allowance->left)
        return NULL; /* unpacking fails then */
    allowance->left -= size;
    return arena_alloc(allowance->arena, size);
}

static void allowance_free(void *context, void *pointer)
{
    (void)context; /* the arena is freed whole */
    (void)pointer;
}

static bool message_tidy(ProtobufCMessage *message);

static bool field_check(const ProtobufCFieldDescriptor *field, const void *value)
{
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return text_is_utf8(*(char *const *)value);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return message_tidy(*(ProtobufCMessage *const *)value);
    return true;
}

/* Checks all texts of a message, and forgets its unknown fields: nothing passes on what it does not
 * know. The recursion is as deep as guts.proto nests: a unit test sees that it has no cycle. */
static bool message_tidy(ProtobufCMessage *message)
{
    if (message)
        message->n_unknown_fields = 0;
    for (unsigned i = 0; message && i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *at = (const char *)message + field->offset;
        size_t count = 1;
        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            count = *(const size_t *)((const char *)message + field->quantifier_offset);
            at = *(const char *const *)(const void *)at;
        }
        for (size_t j = 0; j < count; j++)
            if (!field_check(field, at + j * sizeof(void *)))
                return false;
    }
    return true;
}

ProtobufCMessage *codec_unpack(const ProtobufCMessageDescriptor *type, const void *data,
                               size_t length, struct arena *arena, struct error *err)
{
    struct allowance allowance = {.arena = arena, .left = CODEC_MEMORY_MOST_BYTES};
    ProtobufCAllocator allocator = {allowance_alloc, allowance_free, &allowance};
    ProtobufCMessage *message;

    if (length > BUS_MESSAGE_MOST_BYTES) {
        error_set(err, &FAULT_TOO_LARGE, "message %s of %zu bytes, at most %u are taken",
                  type->name, length, BUS_MESSAGE_MOST_BYTES);
        return NULL;
    }
    message = protobuf_c_message_unpack(type, &allocator, length, data ? data : "");
    if (message && message_tidy(message))
        return message;
    error_set(err, &FAULT_MESSAGE_POISON, "message %s of %zu bytes is %s", type->name, length,
              message ? "not UTF-8" : "malformed or too many parts");
    return NULL;
}

const ProtobufCMessageDescriptor *codec_descriptor(enum message_type type)
{
    return (unsigned)type < COUNT_OF(descriptors) ? descriptors[type] : NULL;
}

ProtobufCMessage *codec_unpack_bus(const struct bus_message *message, struct arena *arena,
                                   struct error *err)
{
    const ProtobufCMessageDescriptor *type = codec_descriptor(message->type);
    bool is_page = message->type == MESSAGE_INVENTORY_PAGE || message->type == MESSAGE_CATALOG_PAGE;

    if (!type) {
        error_set(err, &FAULT_MESSAGE_POISON, "message of an unknown type");
        return NULL;
    }
    if (is_page && message->length > BUS_PAGE_MOST_BYTES) {
        error_set(err, &FAULT_TOO_LARGE, "page %s of %zu bytes, at most %u are taken", type->name,
                  message->length, BUS_PAGE_MOST_BYTES);
        return NULL;
    }
    return codec_unpack(type, message->body, message->length, arena, err);
}

/* -- ids, numbers, tokens, faults --------------------------------------------------------------- */

bool codec_uuid(ProtobufCBinaryData data, struct uuid *ret_id)
{
    return data.data && uuid_from_bytes(data.data, data.len, ret_id);
}

ProtobufCBinaryData codec_uuid_to(const struct uuid *id)
{
    return (ProtobufCBinaryData){.len = UUID_BYTES, .data = (uint8_t *)id->bytes};
}

ProtobufCBinaryData codec_uuid_to_or_none(const struct uuid *id)
{
    return uuid_is_nil(id) ? (ProtobufCBinaryData){0} : codec_uuid_to(id);
}

static unsigned known_or_0(int number, int last)
{
    return number > 0 && number <= last ? (unsigned)number : 0;
}

enum migration_state codec_migration_state(Guts__V1__MigrationState number)
{
    return (enum migration_state)known_or_0((int)number, MIGRATION_CANCELLED);
}

enum owner_kind codec_owner_kind(Guts__V1__OwnerKind number)
{
    return (enum owner_kind)known_or_0((int)number, OWNER_NODE);
}

enum job_kind codec_job_kind(Guts__V1__JobKind number)
{
    return (enum job_kind)known_or_0((int)number, JOB_GC);
}

enum end codec_end(Guts__V1__End number)
{
    return (enum end)known_or_0((int)number, END_DESTINATION);
}

enum ledger_state codec_ledger_state(Guts__V1__LedgerState number)
{
    return (enum ledger_state)known_or_0((int)number, LEDGER_ERROR);
}

enum wanted codec_wanted(Guts__V1__Wanted number)
{
    return (enum wanted)known_or_0((int)number, WANTED_FENCED);
}

bool codec_token(const Guts__V1__Token *token, struct token *ret_token)
{
    struct token plain;

    if (!token || !codec_uuid(token->job, &plain.job))
        return false;
    plain.attempt = token->attempt;
    plain.run = token->run;
    *ret_token = plain;
    return true;
}

Guts__V1__Token *codec_token_to(struct arena *arena, const struct token *token)
{
    Guts__V1__Token *message = arena_alloc(arena, sizeof(*message));

    guts__v1__token__init(message);
    message->job = codec_uuid_to(&token->job);
    message->attempt = token->attempt;
    message->run = token->run;
    return message;
}

void codec_fault(const Guts__V1__Fault *fault, struct error *ret_error)
{
    const struct fault *known;

    *ret_error = (struct error){0};
    if (!fault || !*fault->code)
        return;
    known = fault_find(fault->code);
    if (known)
        error_set(ret_error, known, "%s", fault->text);
    else
        error_set(ret_error, &FAULT_INTERNAL, "unknown fault \"%.48s\": %s", fault->code,
                  fault->text);
}

Guts__V1__Fault *codec_fault_to(struct arena *arena, const struct error *error)
{
    Guts__V1__Fault *message;

    if (!error->fault)
        return NULL;
    message = arena_alloc(arena, sizeof(*message));
    guts__v1__fault__init(message);
    message->code = (char *)error->fault->code;
    message->text = (char *)error->text;
    return message;
}
