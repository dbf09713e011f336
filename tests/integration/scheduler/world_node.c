/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "tests/integration/scheduler/world.h"

#include <stdio.h>
#include <string.h>

#include "proto/topology.h"

/* -- nodes --------------------------------------------------------------------------------------------- */

static void begin_instance(struct world_node *node)
{
    struct uuid instance = uuid_new();
    uuid_format(&instance, node->instance);
    node->report = 0;
}

void world_node_begin(struct world *world, struct world_node *node, const char *name)
{
    *node = (struct world_node){.world = world, .slots = 8};
    node->id = uuid_new();
    node->pool = uuid_new();
    node->capacity_bytes = node->free_bytes = 100ull << 30;
    snprintf(node->name, sizeof node->name, "%s", name);
    begin_instance(node);
    node->bus = bus_memory_open(world->broker);
    struct bus_queue queue = topology_node(name);
    bus_consume(node->bus, &queue);
    world_node_report(node, true);
}

void world_node_end(struct world_node *node)
{
    bus_close(node->bus);
}

void world_node_restart(struct world_node *node, bool keeps_jobs)
{
    begin_instance(node);
    if (!keeps_jobs)
        node->job_count = 0;
}

static void send(struct world_node *node, const char *queue, enum message_type type,
                 const ProtobufCMessage *message)
{
    struct error err = {0};
    CLEANUP(buffer_fini) struct buffer packed = {0};
    codec_pack(message, &packed);
    const struct bus_publication publication = {.exchange = TOPOLOGY_EXCHANGE,
                                                .routing_key = queue,
                                                .type = type,
                                                .body = packed.data,
                                                .length = packed.length};
    world_must(bus_publish(node->bus, &publication, &err), &err);
}

static Guts__V1__Token *token_of(struct arena *arena, const struct world_job *job)
{
    const struct token token = {job->id, job->attempt, job->run};
    return codec_token_to(arena, arena_memdup(arena, &token, sizeof token)); /* it is borrowed */
}

static Guts__V1__JobResult *result_of(struct arena *arena, const struct world_job *job)
{
    Guts__V1__JobResult *result = arena_alloc(arena, sizeof *result);
    guts__v1__job_result__init(result);
    result->token = token_of(arena, job);
    result->outcome = job->outcome;
    result->pages = job->pages;
    result->partial = job->is_partial;
    result->evidence_json = "{\"content\":\"same\"}";
    result->answer_json = "{\"answer\":1}";
    if (job->fault_code != NULL) {
        result->fault = arena_alloc(arena, sizeof *result->fault);
        guts__v1__fault__init(result->fault);
        result->fault->code = (char *)job->fault_code;
        result->fault->text = "as the test wants it";
    }
    return result;
}

static void put_step(struct arena *arena, const struct world_job *job, Guts__V1__JobReport *report)
{
    Guts__V1__StepReport *step = arena_alloc(arena, sizeof *step);
    guts__v1__step_report__init(step);
    step->name = (char *)job->step;
    step->number = 1;
    step->started_at = 1;
    step->state = job->is_finished ? GUTS__V1__STEP_STATE__STEP_STATE_DONE
                                   : GUTS__V1__STEP_STATE__STEP_STATE_RUNNING;
    report->steps = arena_calloc(arena, 1, sizeof *report->steps);
    report->steps[0] = step;
    report->n_steps = 1;
}

static void put_copy(struct arena *arena, const struct world_job *job, Guts__V1__JobReport *report)
{
    const struct ledger_entry entry = {.end = END_DESTINATION,
                                       .kind = "disk",
                                       .key = job->copy,
                                       .state = LEDGER_MADE,
                                       .attempt = job->attempt};
    report->owner_kind = (Guts__V1__OwnerKind)OWNER_MIGRATION;
    report->owner_id = codec_uuid_to(&job->owner);
    report->ledger = arena_calloc(arena, 1, sizeof *report->ledger);
    report->ledger[0] = codec_ledger_entry_to(arena, &entry);
    report->n_ledger = 1;
}

static void put_note(struct arena *arena, const struct world_job *job, Guts__V1__JobReport *report)
{
    Guts__V1__Note *note = arena_alloc(arena, sizeof *note);
    guts__v1__note__init(note);
    note->number = job->note;
    note->at = 1;
    note->text = "noted";
    report->notes = arena_calloc(arena, 1, sizeof *report->notes);
    report->notes[0] = note;
    report->n_notes = 1;
}

static Guts__V1__JobReport *job_report(struct arena *arena, const struct world_job *job)
{
    Guts__V1__JobReport *report = arena_alloc(arena, sizeof *report);
    guts__v1__job_report__init(report);
    report->token = token_of(arena, job);
    report->reached = (Guts__V1__MigrationState)job->reached;
    report->way = GUTS__V1__MIGRATION_STATE__MIGRATION_STATE_UPLOADING;
    report->directory_gone = job->is_gone;
    report->allocated_bytes = job->allocated_bytes;
    if (job->is_finished)
        report->result = result_of(arena, job);
    if (job->step != NULL)
        put_step(arena, job, report);
    if (job->note != 0)
        put_note(arena, job, report);
    if (job->digest != NULL) {
        report->disks = arena_calloc(arena, 1, sizeof *report->disks);
        report->disks[0] = arena_alloc(arena, sizeof *report->disks[0]);
        guts__v1__disk_report__init(report->disks[0]);
        report->disks[0]->digest = (char *)job->digest;
        report->n_disks = 1;
    }
    return report;
}

void world_node_report(struct world_node *node, bool is_full)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__NodeReport report = GUTS__V1__NODE_REPORT__INIT;
    Guts__V1__PoolReport pool = GUTS__V1__POOL_REPORT__INIT, *pools[] = {&pool};
    Guts__V1__Resource slot = GUTS__V1__RESOURCE__INIT, *resources[] = {&slot};
    char *drivers[] = {"fake"};
    pool.id = codec_uuid_to(&node->pool);
    pool.path = "/space";
    pool.capacity_bytes = node->capacity_bytes;
    pool.free_bytes = node->free_bytes;
    slot.name = "slot";
    slot.total = node->slots;
    report.node_id = codec_uuid_to(&node->id);
    report.name = node->name;
    report.instance = node->instance;
    report.number = ++node->report;
    report.full = is_full || (node->declare_again && node->part == 0);
    report.part = node->part;
    report.source_drivers = report.destination_drivers = drivers;
    report.n_source_drivers = report.n_destination_drivers = 1;
    report.pools = pools;
    report.resources = resources;
    report.n_pools = report.n_resources = 1;
    report.n_jobs = node->job_count;
    report.jobs = arena_calloc(arena, node->job_count + 1, sizeof *report.jobs);
    for (size_t i = 0; i < node->job_count; i++)
        report.jobs[i] = job_report(arena, &node->jobs[i]);
    for (size_t i = 0; (report.full || report.part > 0) && i < node->job_count; i++)
        if (node->jobs[i].copy != NULL && (report.part == 0 || report.part == i + 1))
            put_copy(arena, &node->jobs[i], report.jobs[i]);
    send(node, TOPOLOGY_SCHEDULER, MESSAGE_NODE_REPORT, &report.base);
}

static void answer_assign(struct world_node *node, Guts__V1__Token *token)
{
    Guts__V1__JobAccept accept = GUTS__V1__JOB_ACCEPT__INIT;
    Guts__V1__JobRefuse refuse = GUTS__V1__JOB_REFUSE__INIT;
    Guts__V1__Refusal refusal = GUTS__V1__REFUSAL__INIT, *refusals[] = {&refusal};
    refuse.node_id = accept.node_id = codec_uuid_to(&node->id);
    refuse.node_instance = accept.node_instance = node->instance;
    accept.tokens = &token;
    Guts__V1__Fault fault = GUTS__V1__FAULT__INIT;
    fault.code = "node_refused";
    fault.text = "no more";
    refusal.token = token;
    refusal.fault = &fault;
    refuse.refusals = refusals;
    accept.n_tokens = refuse.n_refusals = 1;
    if (node->refuses)
        send(node, TOPOLOGY_SCHEDULER, MESSAGE_JOB_REFUSE, &refuse.base);
    else
        send(node, TOPOLOGY_SCHEDULER, MESSAGE_JOB_ACCEPT, &accept.base);
}

void world_node_accept(struct world_node *node, const struct world_job *job)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__JobAccept accept = GUTS__V1__JOB_ACCEPT__INIT;
    Guts__V1__Token *token = token_of(arena, job);
    accept.node_id = codec_uuid_to(&node->id);
    accept.node_instance = node->instance;
    accept.tokens = &token;
    accept.n_tokens = 1;
    send(node, TOPOLOGY_SCHEDULER, MESSAGE_JOB_ACCEPT, &accept.base);
}

static void take_assignment(struct world_node *node, const Guts__V1__Assignment *assign)
{
    struct token token;
    struct world_job *job = NULL;
    node->assigns++;
    if (node->is_deaf || !codec_token(assign->token, &token))
        return;
    answer_assign(node, assign->token);
    if (node->refuses)
        return;
    for (size_t i = 0; i < node->job_count; i++)
        if (uuid_equal(&node->jobs[i].id, &token.job))
            job = &node->jobs[i];
    if (job == NULL)
        job = &node->jobs[node->job_count++];
    if (job->attempt != token.attempt)
        *job = (struct world_job){.id = token.job, .attempt = token.attempt, .run = 1};
    assert_true(codec_uuid(assign->owner_id, &job->owner));
    job->kind = codec_job_kind(assign->kind);
    job->state = codec_migration_state(assign->state);
    job->ledger_count = assign->n_ledger;
}

static void take_assign(struct world_node *node, const Guts__V1__JobAssign *message)
{
    struct error err = {0};
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    node->assign_messages++;
    for (size_t i = 0; i < message->n_assignments; i++) {
        const void *assignment =
            codec_unpack(&guts__v1__assignment__descriptor, message->assignments[i].data,
                         message->assignments[i].len, arena, &err);
        world_must(assignment != NULL, &err);
        take_assignment(node, assignment);
    }
}

static void take_renewals(struct world_node *node, const Guts__V1__LeaseRenew *renew)
{
    node->renewals++;
    node->declare_again = renew->declare_again;
    for (size_t i = 0; i < renew->n_jobs; i++) {
        struct token token;
        assert_true(codec_token(renew->jobs[i]->token, &token));
        for (size_t k = 0; k < node->job_count; k++) {
            struct world_job *job = &node->jobs[k];
            if (!uuid_equal(&job->id, &token.job) || job->attempt != token.attempt)
                continue;
            job->wanted = codec_wanted(renew->jobs[i]->wanted);
            job->leased = renew->jobs[i]->leased;
            if (job->wanted == WANTED_CLOSE || job->wanted == WANTED_FENCED)
                *job = node->jobs[--node->job_count];
        }
    }
}

void world_node_take(struct world_node *node)
{
    struct bus_message message;
    struct error err = {0};
    while (bus_next(node->bus, 0, -1, &message)) {
        CLEANUP(arena_freep) struct arena *arena = arena_new();
        ProtobufCMessage *body = codec_unpack_bus(&message, arena, &err);
        world_must(body != NULL, &err);
        const void *any = body;
        const Guts__V1__LedgerAnswer *answer = any;
        if (message.type == MESSAGE_JOB_ASSIGN)
            take_assign(node, any);
        else if (message.type == MESSAGE_LEASE_RENEW)
            take_renewals(node, any);
        else if (message.type == MESSAGE_NODE_CONTROL)
            node->was_refused_name = ((const Guts__V1__NodeControl *)any)->refused != NULL;
        else if (message.type == MESSAGE_LEDGER_ANSWER) {
            node->verdict = answer->verdict;
            node->answered_state = codec_ledger_state(answer->entry->state);
        }
        bus_ack(node->bus, message.tag);
    }
}

void world_node_intend(struct world_node *node, const struct world_job *job, const char *key,
                       enum ledger_state state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__LedgerWrite write = GUTS__V1__LEDGER_WRITE__INIT;
    const struct ledger_entry entry = {.end = END_DESTINATION,
                                       .kind = "disk",
                                       .key = key,
                                       .state = state,
                                       .external_id = state == LEDGER_MADE ? "x-1" : "",
                                       .prior_json = "{\"was\":1}",
                                       .detail = ""};
    write.node_id = codec_uuid_to(&node->id);
    write.node_instance = node->instance;
    write.token = token_of(arena, job);
    write.number = ++node->sequence;
    write.entry = codec_ledger_entry_to(arena, &entry);
    node->verdict = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_UNKNOWN;
    send(node, TOPOLOGY_SCHEDULER, MESSAGE_LEDGER_WRITE, &write.base);
    world_turn(node->world, 1);
    world_node_take(node);
}

void world_node_finish(struct world_node *node, struct world_job *job, Guts__V1__Outcome outcome,
                       const char *fault_code)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__JobFinished finished = GUTS__V1__JOB_FINISHED__INIT;
    job->is_finished = true;
    job->outcome = outcome;
    job->fault_code = fault_code;
    finished.node_id = codec_uuid_to(&node->id);
    finished.node_instance = node->instance;
    finished.result = result_of(arena, job);
    finished.report = job_report(arena, job);
    send(node, TOPOLOGY_SCHEDULER, MESSAGE_JOB_FINISHED, &finished.base);
}

void world_node_page(struct world_node *node, const struct world_job *job, uint32_t number,
                     bool is_last, const char *vm_key)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__InventoryPage page = GUTS__V1__INVENTORY_PAGE__INIT;
    struct vm_disk disk = {
        .key = "a.vmdk", .bus = "scsi", .capacity_bytes = 1 << 20, .format = "vmdk"};
    struct vm_nic nic = {.mac = "00:0c:29:00:00:01", .model = "e1000", .network = "n"};
    const struct vm vm = {.key = vm_key,
                          .name = vm_key,
                          .power = VM_POWER_OFF,
                          .firmware = VM_FIRMWARE_BIOS,
                          .cpus = 1,
                          .memory_mib = 512,
                          .guest_os = "",
                          .host = "",
                          .annotation = "",
                          .disks = &disk,
                          .disk_count = 1,
                          .nics = &nic,
                          .nic_count = 1};
    Guts__V1__Vm *vms[] = {codec_vm_to(arena, &vm)};
    page.node_id = codec_uuid_to(&node->id);
    page.token = token_of(arena, job);
    page.number = number;
    page.last = is_last;
    page.vms = vms;
    page.n_vms = 1;
    send(node, TOPOLOGY_SCHEDULER_BULK, MESSAGE_INVENTORY_PAGE, &page.base);
}

struct world_job *world_node_job(struct world_node *node, const struct uuid *owner)
{
    for (size_t i = 0; i < node->job_count; i++)
        if (uuid_equal(&node->jobs[i].owner, owner) && !node->jobs[i].is_finished)
            return &node->jobs[i];
    return NULL;
}

void world_round(struct world *world, struct world_node **nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        world_node_report(nodes[i], false);
    world_turn(world, 1);
    for (size_t i = 0; i < count; i++)
        world_node_take(nodes[i]);
    world_turn(world, 1);
}
