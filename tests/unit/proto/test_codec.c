/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/fault.h"
#include "tests/unit/proto/sample.h"

static struct arena *arena;

static int arena_begin(void **state)
{
    arena = arena_new();
    return 0;
}

static int arena_end(void **state)
{
    arena_free(arena);
    return 0;
}

static ProtobufCMessage *round_trip(const ProtobufCMessage *message)
{
    struct buffer packed = {0};
    struct error err = {0};

    codec_pack(message, &packed);
    assert_int_equal(packed.length, codec_packed_bytes(message));
    ProtobufCMessage *back =
        codec_unpack(message->descriptor, packed.data, packed.length, arena, &err);
    assert_non_null(back);
    buffer_fini(&packed);
    return back;
}

static void a_vm_survives_the_wire(void **state)
{
    struct error err = {0};
    struct vm vm;
    Guts__V1__Vm *back = (Guts__V1__Vm *)round_trip(&codec_vm_to(arena, &sample_vm)->base);

    assert_true(codec_vm(back, arena, &vm, &err));
    assert_string_equal(vm.name, sample_vm.name);
    assert_string_equal(vm.annotation, sample_vm.annotation);
    assert_int_equal(vm.power, VM_POWER_OFF);
    assert_int_equal(vm.firmware, VM_FIRMWARE_EFI);
    assert_true(vm.secure_boot);
    assert_int_equal(vm.cpus, 4);
    assert_int_equal(vm.memory_mib, 2048);
    assert_int_equal(vm.disk_count, 2);
    assert_string_equal(vm.disks[0].controller, "pvscsi");
    assert_null(vm.disks[1].controller);
    assert_int_equal(vm.disks[1].capacity_bytes, 3 << 20);
    assert_int_equal(vm.nic_count, 2);
    assert_null(vm.nics[1].mac);
    assert_true(vm.nics[0].connected);
    assert_null(vm.obstacle_code);
}

static void a_vm_that_breaks_its_bounds_is_refused_on_arrival(void **state)
{
    struct error err = {0};
    struct vm vm = {.key = "unchanged"};
    Guts__V1__Vm *message = codec_vm_to(arena, &sample_vm);

    message->cpus = 1u << 30;
    assert_false(codec_vm(message, arena, &vm, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
    assert_string_equal(vm.key, "unchanged");
    message->cpus = 1;
    message->n_disks = VM_DISKS_MOST + 1;
    assert_false(codec_vm(message, arena, &vm, &err));
    assert_false(codec_vm(NULL, arena, &vm, &err));
    assert_ptr_equal(err.fault, &FAULT_MESSAGE_POISON);
}

static void a_token_survives_the_wire(void **state)
{
    struct token token = {.job = uuid_new(), .attempt = 3, .run = 7}, back;
    Guts__V1__Token *message = (Guts__V1__Token *)round_trip(&codec_token_to(arena, &token)->base);

    assert_true(codec_token(message, &back));
    assert_true(uuid_equal(&token.job, &back.job));
    assert_int_equal(back.attempt, 3);
    assert_int_equal(back.run, 7);
    message->job.len = 15;
    assert_false(codec_token(message, &back));
    message->job = (ProtobufCBinaryData){0};
    assert_false(codec_token(message, &back));
    assert_false(codec_token(NULL, &back));
}

static void a_fault_of_a_newer_daemon_becomes_internal_with_its_code(void **state)
{
    struct error err, sent = {0};
    Guts__V1__Fault message = GUTS__V1__FAULT__INIT;

    error_set(&sent, &FAULT_VM_RUNNING, "vm \"a\" is running");
    codec_fault(codec_fault_to(arena, &sent), &err);
    assert_ptr_equal(err.fault, &FAULT_VM_RUNNING);
    assert_string_equal(err.text, "vm \"a\" is running");
    message.code = (char *)"from_the_future";
    message.text = (char *)"words";
    codec_fault(&message, &err);
    assert_ptr_equal(err.fault, &FAULT_INTERNAL);
    assert_non_null(strstr(err.text, "from_the_future"));
    codec_fault(NULL, &err);
    assert_null(err.fault);
    assert_null(codec_fault_to(arena, &err));
}

static void a_ledger_entry_survives_the_wire_and_is_checked(void **state)
{
    struct ledger_entry entry = {.end = END_SOURCE,
                                 .kind = "power",
                                 .key = "k",
                                 .state = LEDGER_MADE,
                                 .external_id = "x",
                                 .prior_json = "{}",
                                 .detail = "",
                                 .order = 2,
                                 .attempt = 5},
                        back;
    struct error err = {0};
    Guts__V1__LedgerEntry *message =
        (Guts__V1__LedgerEntry *)round_trip(&codec_ledger_entry_to(arena, &entry)->base);

    assert_true(codec_ledger_entry(message, &back, &err));
    assert_string_equal(back.kind, "power");
    assert_int_equal(back.state, LEDGER_MADE);
    assert_int_equal(back.order, 2);
    message->state = (Guts__V1__LedgerState)77;
    assert_false(codec_ledger_entry(message, &back, &err));
    message->state = GUTS__V1__LEDGER_STATE__LEDGER_STATE_MADE;
    message->kind = (char *)"a kind that is much longer than its column is";
    assert_false(codec_ledger_entry(message, &back, &err));
    assert_ptr_equal(err.fault, &FAULT_MESSAGE_POISON);
    assert_false(codec_ledger_entry(NULL, &back, &err));
}

static void unknown_numbers_become_unknown(void **state)
{
    assert_int_equal(codec_migration_state((Guts__V1__MigrationState)99), MIGRATION_UNKNOWN);
    assert_int_equal(codec_migration_state((Guts__V1__MigrationState)-1), MIGRATION_UNKNOWN);
    assert_int_equal(codec_wanted((Guts__V1__Wanted)5), WANTED_UNKNOWN);
    assert_int_equal(codec_end(GUTS__V1__END__END_OF_SOURCE), END_SOURCE);
    assert_int_equal(codec_owner_kind((Guts__V1__OwnerKind)400), OWNER_UNKNOWN);
    assert_int_equal(codec_job_kind(GUTS__V1__JOB_KIND__JOB_KIND_MIGRATE), JOB_MIGRATE);
    assert_int_equal(codec_ledger_state((Guts__V1__LedgerState)7), LEDGER_UNKNOWN);
}

static void refused(const ProtobufCMessageDescriptor *type, const void *data, size_t length,
                    const struct fault *fault)
{
    struct error err = {0};

    assert_null(codec_unpack(type, data, length, arena, &err));
    assert_ptr_equal(err.fault, fault);
}

static void malformed_bytes_are_poison(void **state)
{
    refused(&guts__v1__job_assign__descriptor, "\x0a\xff", 2, &FAULT_MESSAGE_POISON);
    refused(&guts__v1__node_report__descriptor, "\xff\xff\xff\xff\xff\xff", 6,
            &FAULT_MESSAGE_POISON);
    refused(&guts__v1__fault__descriptor, "\x0a\x02\xc0\xaf", 4, &FAULT_MESSAGE_POISON);
}

static void texts_deep_inside_must_be_utf8(void **state)
{
    /* NodeReport.jobs[0].result.fault.text = FF */
    static const char report[] = "\x72\x07\x42\x05\x1a\x03\x12\x01\xff";

    refused(&guts__v1__node_report__descriptor, report, sizeof(report) - 1, &FAULT_MESSAGE_POISON);
}

static void a_message_that_is_too_long_is_not_even_looked_at(void **state)
{
    refused(&guts__v1__change__descriptor, "", BUS_MESSAGE_MOST_BYTES + 1, &FAULT_TOO_LARGE);
}

static void a_bomb_of_tiny_parts_is_refused(void **state)
{
    size_t length = BUS_MESSAGE_MOST_BYTES;
    char *bomb = xcalloc(length, 1);

    for (size_t i = 0; i < length; i += 2)
        bomb[i] = 0x72; /* NodeReport.jobs, of no bytes */
    refused(&guts__v1__node_report__descriptor, bomb, length, &FAULT_MESSAGE_POISON);
    assert_true(arena_bytes(arena) < 2 * (size_t)CODEC_MEMORY_MOST_BYTES);
    free(bomb);
}

static void unknown_fields_are_forgotten(void **state)
{
    /* Field 15 = 1; a tag of field 0 in two bytes, which the library takes; event = 5. */
    static const char change[] = "\x78\x01\x85\x00"
                                 "abcd\x08\x05";
    struct error err = {0};
    Guts__V1__Change *message = (Guts__V1__Change *)codec_unpack(
        &guts__v1__change__descriptor, change, sizeof(change) - 1, arena, &err);

    assert_non_null(message);
    assert_int_equal(message->event, 5);
    assert_int_equal(codec_packed_bytes(&message->base), 2);
}

static void an_empty_message_is_all_defaults(void **state)
{
    struct error err = {0};
    Guts__V1__JobFinished *message = (Guts__V1__JobFinished *)codec_unpack(
        &guts__v1__job_finished__descriptor, NULL, 0, arena, &err);

    assert_non_null(message);
    assert_string_equal(message->node_instance, "");
    assert_null(message->result);
}

static void pages_have_a_smaller_bound_and_unknown_types_none(void **state)
{
    struct error err = {0};
    struct bus_message message = {
        .type = MESSAGE_INVENTORY_PAGE, .body = "", .length = BUS_PAGE_MOST_BYTES + 1};

    assert_null(codec_unpack_bus(&message, arena, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
    message = (struct bus_message){.type = MESSAGE_UNKNOWN};
    assert_null(codec_unpack_bus(&message, arena, &err));
    assert_ptr_equal(err.fault, &FAULT_MESSAGE_POISON);
    message.type = MESSAGE_WAKE;
    assert_non_null(codec_unpack_bus(&message, arena, &err));
    for (int i = MESSAGE_WAKE; i <= MESSAGE_CHANGE; i++)
        assert_string_equal(codec_descriptor((enum message_type)i)->name,
                            message_type_name((enum message_type)i));
}

/* How deep a type nests; fails on a type that holds itself. */
static unsigned depth(const ProtobufCMessageDescriptor *type, unsigned so_far)
{
    unsigned most = so_far;

    assert_true(so_far < 8);
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
            unsigned below = depth(type->fields[i].descriptor, so_far + 1);
            most = below > most ? below : most;
        }
    return most;
}

static void no_message_holds_itself(void **state)
{
    for (int i = MESSAGE_WAKE; i <= MESSAGE_CHANGE; i++)
        assert_true(depth(codec_descriptor((enum message_type)i), 1) <= 5);
}

int main(void)
{
#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, arena_begin, arena_end)
    const struct CMUnitTest tests[] = {
        IN_ARENA(a_vm_survives_the_wire),
        IN_ARENA(a_vm_that_breaks_its_bounds_is_refused_on_arrival),
        IN_ARENA(a_token_survives_the_wire),
        IN_ARENA(a_fault_of_a_newer_daemon_becomes_internal_with_its_code),
        IN_ARENA(a_ledger_entry_survives_the_wire_and_is_checked),
        IN_ARENA(unknown_numbers_become_unknown),
        IN_ARENA(malformed_bytes_are_poison),
        IN_ARENA(texts_deep_inside_must_be_utf8),
        IN_ARENA(a_message_that_is_too_long_is_not_even_looked_at),
        IN_ARENA(a_bomb_of_tiny_parts_is_refused),
        IN_ARENA(unknown_fields_are_forgotten),
        IN_ARENA(an_empty_message_is_all_defaults),
        IN_ARENA(pages_have_a_smaller_bound_and_unknown_types_none),
        IN_ARENA(no_message_holds_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
