/* SPDX-License-Identifier: Apache-2.0
 *
 * A message from the bus, of any type: what is taken is bounded, and survives being packed again.
 * The first byte chooses the type.
 *
 * sources: proto/codec.c proto/codec_parts.c proto/message.c proto/fault.c proto/fault_preflight.c proto/text.c proto/vm.c
 * packages: libprotobuf-c
 * messages: proto/guts.proto
 */
#include <stdlib.h>

#include "proto/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repack(const ProtobufCMessage *message, struct arena *arena)
{
    CLEANUP(buffer_fini) struct buffer packed = {0};
    struct error err;

    codec_pack(message, &packed);
    if (packed.length <= BUS_MESSAGE_MOST_BYTES &&
        codec_unpack(message->descriptor, packed.data, packed.length, arena, &err) == NULL)
        abort();
}

/* What a plain struct was made of must be good enough to be sent. */
static void plain_check(const Guts__V1__Assignment *assign, struct arena *arena)
{
    struct error err;
    struct vm vm;
    struct ledger_entry entry;
    struct token token;

    if (codec_vm(assign->vm, arena, &vm, &err) && !vm_check(vm_copy(arena, &vm), &err))
        abort();
    for (size_t i = 0; i < assign->n_ledger; i++)
        if (codec_ledger_entry(assign->ledger[i], &entry, &err))
            repack(&codec_ledger_entry_to(arena, &entry)->base, arena);
    if (codec_token(assign->token, &token))
        repack(&codec_token_to(arena, &token)->base, arena);
}

static void assignments_check(const Guts__V1__JobAssign *message, struct arena *arena)
{
    struct error err;

    for (size_t i = 0; i < message->n_assignments; i++) {
        const void *one =
            codec_unpack(&guts__v1__assignment__descriptor, message->assignments[i].data,
                         message->assignments[i].len, arena, &err);
        if (one != NULL)
            plain_check(one, arena);
    }
}

static void refusals_check(const Guts__V1__JobRefuse *message)
{
    struct error fault;

    for (size_t i = 0; i < message->n_refusals; i++)
        codec_fault(message->refusals[i]->fault, &fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err;
    struct bus_message message = {0};
    ProtobufCMessage *unpacked;

    if (size == 0)
        return 0;
    message.type = (enum message_type)(data[0] % (MESSAGE_CHANGE + 1));
    message.body = data + 1;
    message.length = size - 1;
    unpacked = codec_unpack_bus(&message, arena, &err);
    if (unpacked == NULL)
        return 0;
    repack(unpacked, arena);
    if (message.type == MESSAGE_JOB_ASSIGN)
        assignments_check((const Guts__V1__JobAssign *)unpacked, arena);
    if (message.type == MESSAGE_JOB_REFUSE)
        refusals_check((const Guts__V1__JobRefuse *)unpacked);
    return 0;
}
