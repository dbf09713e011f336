/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/migration/play.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/seals.h"
#include "proto/fault.h"
#include "proto/topology.h"

static void publish(struct play *play, enum message_type type, const ProtobufCMessage *message)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer packed = {0};
    struct bus_queue queue = topology_node("n1");
    codec_pack(message, &packed);
    struct bus_publication publication = {.exchange = TOPOLOGY_EXCHANGE,
                                          .routing_key = queue.name,
                                          .type = type,
                                          .body = packed.data,
                                          .length = packed.length,
                                          .persistent = true};
    assert_true(bus_publish(play->scheduler, &publication, &err));
}

static void read_job(struct play *play, const Guts__V1__JobReport *job)
{
    if (job->directory_gone)
        play->gone = true;
    play->reached = codec_migration_state(job->reached);
    play->resumes = job->resumes;
    if (job->n_notes > 0)
        snprintf(play->first_note, sizeof(play->first_note), "%s", job->notes[0]->text);
    play->run = job->token->run;
    play->done_bytes = play->read_bytes = 0;
    for (size_t i = 0; i < job->n_disks; i++) {
        play->done_bytes += job->disks[i]->done_bytes;
        play->read_bytes += job->disks[i]->read_bytes;
    }
}

static void answer_report(struct play *play, const Guts__V1__NodeReport *report)
{
    struct arena *arena = play->arena;
    Guts__V1__LeaseRenew renew;
    guts__v1__lease_renew__init(&renew);
    renew.node_instance = report->instance;
    renew.report = report->number;
    renew.lease_ms = play->lease_ms;
    renew.declare_again = play->asks_again;
    renew.drain = play->drains;
    renew.jobs = arena_calloc(arena, report->n_jobs + 1, sizeof(*renew.jobs));
    for (size_t i = 0; i < report->n_jobs; i++) {
        Guts__V1__JobRenew *job = arena_alloc(arena, sizeof(*job));
        guts__v1__job_renew__init(job);
        job->token = report->jobs[i]->token;
        job->wanted = (Guts__V1__Wanted)play->wanted;
        job->leased = true;
        renew.jobs[renew.n_jobs++] = job;
    }
    publish(play, MESSAGE_LEASE_RENEW, &renew.base);
}

static void read_left(struct play *play, const Guts__V1__NodeReport *report)
{
    if (report->look.len == 0)
        return;
    play->looks++;
    play->left = (unsigned)report->n_left;
    for (size_t i = 0; i < report->n_left; i++) {
        snprintf(play->left_name, sizeof(play->left_name), "%s", report->left[i]->name);
        assert_true(codec_uuid(report->left[i]->owner_id, &play->left_owner));
        assert_true(report->left[i]->allocated_bytes > 0);
    }
}

static void read_report(struct play *play, const Guts__V1__NodeReport *report)
{
    play->reports++;
    snprintf(play->instance, sizeof(play->instance), "%s", report->instance);
    if (report->full) {
        play->declared = report->n_drivers > 0;
        play->ledger_copies = report->n_jobs > 0 ? report->jobs[0]->n_ledger : 0;
    }
    assert_true(report->n_pools == 1 && codec_uuid(report->pools[0]->id, &play->pool_id));
    for (size_t i = 0; i < report->n_jobs; i++)
        read_job(play, report->jobs[i]);
    read_left(play, report);
    if (play->renews)
        answer_report(play, report);
}

static struct ledger_entry *store(struct play *play, const struct ledger_entry *from)
{
    struct ledger_entry *entry = NULL;
    for (size_t i = 0; i < play->ledger_count; i++) {
        if (strcmp(play->ledger[i].kind, from->kind) == 0 &&
            strcmp(play->ledger[i].key, from->key) == 0)
            entry = &play->ledger[i];
    }
    uint32_t order = entry ? entry->order : (uint32_t)play->ledger_count + 1;
    if (!entry) {
        assert_true(play->ledger_count < ENTRIES_MOST);
        entry = &play->ledger[play->ledger_count++];
    }
    *entry = *from;
    entry->kind = arena_strdup(play->arena, from->kind);
    entry->key = arena_strdup(play->arena, from->key);
    entry->external_id = arena_strdup(play->arena, from->external_id);
    entry->prior_json = arena_strdup(play->arena, from->prior_json);
    entry->detail = arena_strdup(play->arena, from->detail);
    entry->order = order;
    return entry;
}

static void read_write(struct play *play, const Guts__V1__LedgerWrite *write)
{
    struct error err;
    struct ledger_entry entry;
    Guts__V1__LedgerAnswer answer;
    play->writes++;
    if (!play->answers)
        return;
    assert_true(codec_ledger_entry(write->entry, &entry, &err));
    guts__v1__ledger_answer__init(&answer);
    answer.node_instance = write->node_instance;
    answer.token = write->token;
    answer.number = write->number;
    answer.verdict = play->verdict;
    if (play->verdict == GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED)
        answer.entry = codec_ledger_entry_to(play->arena, store(play, &entry));
    publish(play, MESSAGE_LEDGER_ANSWER, &answer.base);
    if (play->answers_left > 0 && --play->answers_left == 0)
        play->answers = false;
}

static void read_result(struct play *play, const Guts__V1__JobResult *result)
{
    play->finishes++;
    play->outcome = result->outcome;
    play->reached = codec_migration_state(result->reached);
    snprintf(play->fault, sizeof(play->fault), "%s", result->fault ? result->fault->code : "");
    snprintf(play->fault_text, sizeof(play->fault_text), "%s",
             result->fault ? result->fault->text : "");
    snprintf(play->evidence, sizeof(play->evidence), "%s", result->evidence_json);
}

/* What was done is told with the end: no later report of the steps counts. */
static void read_finished(struct play *play, const Guts__V1__JobFinished *finished)
{
    read_result(play, finished->result);
    assert_non_null(finished->report);
    assert_null(finished->report->result);
    play->steps_running = 0;
    for (size_t i = 0; i < finished->report->n_steps; i++)
        play->steps_running +=
            finished->report->steps[i]->state == GUTS__V1__STEP_STATE__STEP_STATE_RUNNING;
    play->steps_told = (unsigned)finished->report->n_steps;
}

static void receive(struct play *play, const struct bus_message *message)
{
    struct error err;
    const ProtobufCMessage *body = codec_unpack_bus(message, play->arena, &err);
    assert_non_null(body);
    switch (message->type) {
    case MESSAGE_NODE_REPORT:
        read_report(play, (const Guts__V1__NodeReport *)body);
        break;
    case MESSAGE_LEDGER_WRITE:
        read_write(play, (const Guts__V1__LedgerWrite *)body);
        break;
    case MESSAGE_JOB_ACCEPT:
        play->accepts += (unsigned)((const Guts__V1__JobAccept *)body)->n_tokens;
        break;
    case MESSAGE_JOB_REFUSE:
        play->refuses++;
        snprintf(play->refuse_code, sizeof(play->refuse_code), "%s",
                 ((const Guts__V1__JobRefuse *)body)->refusals[0]->fault->code);
        break;
    case MESSAGE_JOB_FINISHED:
        read_finished(play, (const Guts__V1__JobFinished *)body);
        break;
    case MESSAGE_INVENTORY_PAGE:
        play->pages++;
        play->vms += (unsigned)((const Guts__V1__InventoryPage *)body)->n_vms;
        play->last_page = ((const Guts__V1__InventoryPage *)body)->last;
        break;
    default:
        fail_msg("a %s is nothing for a scheduler", message_type_name(message->type));
    }
    bus_ack(play->scheduler, message->tag);
}

void play_turn(struct play *play)
{
    struct bus_message message;
    if (play->node)
        node_turn(play->node, 5);
    while (bus_next(play->scheduler, 0, -1, &message))
        receive(play, &message);
    usleep(1000);
}

void play_open_node(struct play *play)
{
    struct error err;
    play->bus = bus_memory_open(play->broker);
    struct node_plan plan = {
        .node = &play->settings, .worker = &play->worker, .bus = play->bus, .signal_fd = -1};
    if (!node_open(&plan, &play->node, &err))
        fail_msg("%s", err.text);
    play->instance[0] = '\0';
}

void play_start_node(struct play *play)
{
    play_open_node(play);
    AWAIT(play, play->instance[0]);
}

void play_stop_node(struct play *play)
{
    node_close(play->node);
    play->node = NULL;
    bus_close(play->bus);
}

int play_set_up(void **state)
{
    struct error err;
    struct play *play = xcalloc(1, sizeof(*play));
    play->arena = arena_new();
    play->broker = bus_memory_new();
    play->scheduler = bus_memory_open(play->broker);
    struct bus_queue queues[] = {topology_scheduler(), topology_scheduler_bulk()};
    bus_consume(play->scheduler, &queues[0]);
    bus_consume(play->scheduler, &queues[1]);
    strcpy(play->directory, "/tmp/guts-node-XXXXXX");
    if (!mkdtemp(play->directory))
        return -1;
    play->pool = arena_printf(play->arena, "%s/pool", play->directory);
    play->world = arena_printf(play->arena, "%s/world", play->directory);
    const char **pools = arena_calloc(play->arena, 1, sizeof(char *));
    const char **roots = arena_calloc(play->arena, 1, sizeof(char *));
    pools[0] = play->pool;
    roots[0] = play->directory;
    play->settings = (struct node_settings){.name = "n1",
                                            .pools = {pools, 1},
                                            .slots = 2,
                                            .memory_bytes = 1 << 30,
                                            .roots_read = {roots, 1},
                                            .roots_write = {roots, 1},
                                            .private_key = "",
                                            .report_interval_ms = 100,
                                            .report_expiry_ms = 10000,
                                            .stop_grace_ms = 3000};
    play->worker = (struct worker_settings){.buffer_bytes = 8 << 20,
                                            .open_files = 256,
                                            .disks_at_once = 2,
                                            .flush_bytes = 4 << 20,
                                            .flush_ms = 100,
                                            .stall_ms = 30000,
                                            .copy_idle_ms = 10000,
                                            .restarts = 2,
                                            .restart_first_ms = 10,
                                            .restart_most_ms = 50,
                                            .ledger_repeat_ms = 200};
    play->renews = play->answers = true;
    play->lease_ms = 10000;
    play->wanted = WANTED_GO;
    play->verdict = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED;
    play->job = uuid_new();
    play->owner = uuid_new();
    *state = play;
    if (!file_make_directory(play->world, 0755, &err))
        return -1;
    play_start_node(play);
    return 0;
}

int play_tear_down(void **state)
{
    struct play *play = *state;
    struct error err;
    if (play->node)
        play_stop_node(play);
    bus_close(play->scheduler);
    bus_memory_free(play->broker);
    bool good = file_remove_tree(play->directory, &err);
    arena_free(play->arena);
    free(play);
    return good ? 0 : -1;
}

/* -- jobs -------------------------------------------------------------------------------------------------- */

static Guts__V1__Endpoint *make_end(struct play *play, const char *settings)
{
    Guts__V1__Endpoint *end = arena_alloc(play->arena, sizeof(*end));
    guts__v1__endpoint__init(end);
    struct uuid *id = arena_alloc(play->arena, sizeof(*id));
    *id = uuid_new();
    end->id = codec_uuid_to(id);
    end->driver = (char *)"fake";
    end->name = (char *)"the fake";
    end->settings_json = arena_printf(play->arena, "{\"path\": \"%s\"%s}", play->world, settings);
    return end;
}

/* Seals for the address that the fake source's settings give (proto/address.h). */
static void seal(struct play *play, Guts__V1__Endpoint *end, const struct wish *wish)
{
    struct error err;
    struct uuid id;
    char key_id[SEAL_KEY_ID_SIZE];
    struct seal_public *key;
    struct buffer *sealed = arena_alloc(play->arena, sizeof(*sealed));
    const char *public = arena_printf(play->arena, "%s/public", play->directory);
    play->settings.private_key = arena_printf(play->arena, "%s/private", play->directory);
    const char *address =
        arena_printf(play->arena, "path=%s", wish->sealed_for ? wish->sealed_for : play->world);
    const char *text = arena_printf(play->arena, "{\"password\": \"%s\"}", wish->password);
    assert_true(codec_uuid(end->id, &id));
    assert_true(seal_keygen(public, play->settings.private_key, key_id, &err));
    assert_true(seal_public_load(public, &key, &err));
    CLEANUP(secret_freep) struct secret *secret = secret_new(text, strlen(text));
    assert_true(seal_close(key, &id, address, secret, key_id, sealed, &err));
    seal_public_free(key);
    struct seals_item item = {.name = "password", .seal = sealed->data, .length = sealed->length};
    CLEANUP(buffer_fini) struct buffer seals = {0};
    snprintf(item.key_id, sizeof(item.key_id), "%s", key_id);
    seals_add(&seals, &item);
    end->seal.data = arena_memdup(play->arena, seals.data, seals.length);
    end->seal.len = seals.length;
    end->seal_key_id = arena_strdup(play->arena, key_id);
    buffer_fini(sealed);
}

static void publish_assignment(struct play *play, const ProtobufCMessage *assignment)
{
    CLEANUP(buffer_fini) struct buffer packed = {0};
    Guts__V1__JobAssign message;
    codec_pack(assignment, &packed);
    ProtobufCBinaryData assignments[] = {{packed.length, (uint8_t *)packed.data}};
    guts__v1__job_assign__init(&message);
    message.node_instance = play->instance;
    message.assignments = assignments;
    message.n_assignments = COUNT_OF(assignments);
    publish(play, MESSAGE_JOB_ASSIGN, &message.base);
}

void play_assign(struct play *play, const struct wish *wish)
{
    struct token token = {play->job, wish->attempt ? wish->attempt : 1, 0};
    struct vm vm = {.key = "vm-000001", .name = "fake-000001", .cpus = 1, .memory_mib = 1};
    Guts__V1__Assignment job;
    guts__v1__assignment__init(&job);
    job.token = codec_token_to(play->arena, &token);
    job.kind = (Guts__V1__JobKind)wish->kind;
    bool migration = wish->kind >= JOB_MIGRATE;
    job.owner_kind = migration ? GUTS__V1__OWNER_KIND__OWNER_KIND_MIGRATION
                               : GUTS__V1__OWNER_KIND__OWNER_KIND_SOURCE;
    job.owner_id = codec_uuid_to(&play->owner);
    job.source = make_end(play, wish->settings ? wish->settings : "");
    if (wish->password)
        seal(play, job.source, wish);
    job.destination = migration ? make_end(play, "") : NULL;
    job.vm = migration ? codec_vm_to(play->arena, vm_copy(play->arena, &vm)) : NULL;
    job.options_json = (char *)(wish->options ? wish->options : "{\"store\": \"file\"}");
    job.request_json = (char *)(wish->request ? wish->request : "");
    job.state = GUTS__V1__MIGRATION_STATE__MIGRATION_STATE_SCHEDULED;
    job.pool = codec_uuid_to(&play->pool_id);
    job.dry_run = wish->dry_run;
    job.ledger = arena_calloc(play->arena, play->ledger_count + 1, sizeof(*job.ledger));
    for (size_t i = 0; i < play->ledger_count; i++)
        job.ledger[job.n_ledger++] = codec_ledger_entry_to(play->arena, &play->ledger[i]);
    publish_assignment(play, &job.base);
}

void play_look(struct play *play, const char *remove)
{
    struct uuid look = uuid_new();
    char *names[] = {(char *)remove};
    Guts__V1__NodeControl control;
    guts__v1__node_control__init(&control);
    control.node_instance = play->instance;
    control.look = codec_uuid_to(&look);
    control.remove = names;
    control.n_remove = remove != NULL;
    publish(play, MESSAGE_NODE_CONTROL, &control.base);
}

void play_refuse_name(struct play *play)
{
    struct error why;
    Guts__V1__NodeControl control;
    guts__v1__node_control__init(&control);
    error_set(&why, &FAULT_NODE_NAME_TAKEN, "another node lives under this name");
    control.node_instance = play->instance;
    control.refused = codec_fault_to(play->arena, &why);
    publish(play, MESSAGE_NODE_CONTROL, &control.base);
}

const struct ledger_entry *play_entry_of(const struct play *play, const char *kind)
{
    for (size_t i = 0; i < play->ledger_count; i++) {
        if (strcmp(play->ledger[i].kind, kind) == 0)
            return &play->ledger[i];
    }
    return NULL;
}

/* How often the world's log tells of a deed. */
unsigned play_count_deeds(struct play *play, const char *deed)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer log = {0};
    CLEANUP(xfreep) char *path = xasprintf("%s/log", play->world);
    CLEANUP(xfreep) char *wanted = xasprintf("\"deed\":\"%s\"", deed);
    unsigned count = 0;
    if (access(path, F_OK) != 0)
        return 0;
    assert_true(file_read(path, 1 << 20, &log, &err));
    for (const char *at = strstr(log.data, wanted); at; at = strstr(at + 1, wanted))
        count++;
    return count;
}

void play_control(struct play *play, const char *rules)
{
    struct error err;
    CLEANUP(xfreep) char *path = xasprintf("%s/control.json", play->world);
    assert_true(file_replace(path, 0644, rules, strlen(rules), &err));
}

bool play_directory_exists(const struct play *play)
{
    CLEANUP(xfreep) char *path = xasprintf("%s/jobs/n1/%s-1", play->pool, UUID_TEXT(&play->job));
    return access(path, F_OK) == 0;
}

pid_t play_worker_pid(const struct play *play)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer journal = {0};
    CLEANUP(xfreep)
    char *path = xasprintf("%s/jobs/n1/%s-1/journal", play->pool, UUID_TEXT(&play->job));
    assert_true(file_read(path, 64 << 20, &journal, &err));
    long pid = 0;
    for (size_t i = 0; i + 7 < journal.length; i++) {
        if (memcmp(journal.data + i, "{\"pid\":", 7) == 0)
            pid = strtol(journal.data + i + 7, NULL, 10);
    }
    return (pid_t)pid;
}
