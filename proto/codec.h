/* SPDX-License-Identifier: Apache-2.0
 *
 * Between messages on the wire and plain structs. The generated structs (guts.v1 of guts.proto) are
 * used here and in the inboxes and senders of scheduler and migration, nowhere else.
 *
 * What comes in is hostile: its size is bounded before unpacking, the memory that unpacking may take
 * is bounded too (a message of many tiny parts blows up), and every text must be UTF-8. Nesting is
 * bounded by guts.proto, which has no recursive message. Texts of an unpacked message are never
 * NULL; parts (sub-messages) are NULL when absent. Enum numbers may be unknown: the codec_ functions
 * below turn them into 0.
 *
 * What goes out is borrowed: the messages that the *_to functions give point into the plain structs
 * and the arena, and live no longer than either.
 *
 * Threads: pure functions.
 */
#ifndef GUTS_PROTO_CODEC_H
#define GUTS_PROTO_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/uuid.h"
#include "proto/bus.h"
#include "proto/guts.pb-c.h"
#include "proto/lifecycle.h"
#include "proto/vm.h"
#include "proto/words.h"

/* What one message may take in memory once it is unpacked. */
#define CODEC_MEMORY_MOST_BYTES (16u << 20)

/* Appends the packed message. No bound: bus_publish refuses what is too long. */
void codec_pack(const ProtobufCMessage *message, struct buffer *ret_packed);
size_t codec_packed_bytes(const ProtobufCMessage *message);
/* The message (of `type`), allocated in arena and freed with it; NULL with FAULT_TOO_LARGE (longer
 * than BUS_MESSAGE_MOST_BYTES, or beyond the memory bound) or FAULT_MESSAGE_POISON (malformed, or a
 * text that is not UTF-8). */
ProtobufCMessage *codec_unpack(const ProtobufCMessageDescriptor *type, const void *data,
                               size_t length, struct arena *arena, struct error *err) MUST_CHECK;
/* The same for a message from the bus, whose type it follows; for pages the bound is
 * BUS_PAGE_MOST_BYTES. FAULT_MESSAGE_POISON for MESSAGE_UNKNOWN. */
ProtobufCMessage *codec_unpack_bus(const struct bus_message *message, struct arena *arena,
                                   struct error *err) MUST_CHECK;
/* NULL for MESSAGE_UNKNOWN. */
const ProtobufCMessageDescriptor *codec_descriptor(enum message_type type);

/* Ids: from the wire (false unless 16 bytes; "" is false too), and to it (borrowed). */
bool codec_uuid(ProtobufCBinaryData data, struct uuid *ret_id) MUST_CHECK;
ProtobufCBinaryData codec_uuid_to(const struct uuid *id);
ProtobufCBinaryData codec_uuid_to_or_none(const struct uuid *id); /* nil: no bytes */

/* Enum numbers, 0 when unknown. (Out: the numbers are the same, cast them.) */
enum migration_state codec_migration_state(Guts__V1__MigrationState number);
enum owner_kind codec_owner_kind(Guts__V1__OwnerKind number);
enum job_kind codec_job_kind(Guts__V1__JobKind number);
enum end codec_end(Guts__V1__End number);
enum ledger_state codec_ledger_state(Guts__V1__LedgerState number);
enum wanted codec_wanted(Guts__V1__Wanted number);

/* False when the part is absent (NULL) or its job is no id. */
bool codec_token(const Guts__V1__Token *token, struct token *ret_token) MUST_CHECK;
Guts__V1__Token *codec_token_to(struct arena *arena, const struct token *token);

/* A fault of another daemon: an unknown code becomes FAULT_INTERNAL with the code in its text. An
 * absent part, or one without a code, gives no error (fault NULL). */
void codec_fault(const Guts__V1__Fault *fault, struct error *ret_error);
/* NULL when there is no error. */
Guts__V1__Fault *codec_fault_to(struct arena *arena, const struct error *error);

/* Refuses what vm_check refuses. Texts are borrowed from the message. */
bool codec_vm(const Guts__V1__Vm *vm, struct arena *arena, struct vm *ret_vm,
              struct error *err) MUST_CHECK;
Guts__V1__Vm *codec_vm_to(struct arena *arena, const struct vm *vm);

/* FAULT_MESSAGE_POISON unless end and state are known and the texts fit the ledger's columns. Texts
 * are borrowed from the message. */
bool codec_ledger_entry(const Guts__V1__LedgerEntry *entry, struct ledger_entry *ret_entry,
                        struct error *err) MUST_CHECK;
Guts__V1__LedgerEntry *codec_ledger_entry_to(struct arena *arena, const struct ledger_entry *entry);

#endif
