/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole node with real workers (this program runs itself again as one) on the bus in memory,
 * against a scheduler that is played here: it renews leases, stores the ledger, reads results.
 */
#include "tests/unit/check.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "migration/node.h"
#include "migration/worker.h"
#include "proto/codec.h"
#include "proto/fault.h"
#include "proto/topology.h"

#define PATIENCE_MS 20000
#define ENTRIES_MOST 64

/* The scheduler that is played. */
struct play {
    struct arena *arena;
    struct bus_memory *broker;
    struct bus *scheduler;
    struct bus *bus; /* the node's */
    struct node *node;
    struct node_settings settings;
    struct worker_settings worker;
    char directory[64];
    const char *pool, *world;
    /* what it does */
    bool renews;
    bool answers;
    enum wanted wanted;
    Guts__V1__LedgerVerdict verdict;
    /* what it saw */
    char instance[64];
    struct uuid pool_id, job, owner;
    struct ledger_entry ledger[ENTRIES_MOST];
    size_t ledger_count;
    unsigned accepts, refuses, reports, finishes, writes, pages, vms;
    char refuse_code[64];
    uint32_t run;
    uint64_t done_bytes, read_bytes;
    uint32_t resumes;
    bool declared, gone, last_page;
    enum migration_state reached;
    Guts__V1__Outcome outcome;
    char fault[64];
    char fault_text[512];
    char evidence[4096];
};

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
    renew.lease_ms = 10000;
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

static void read_report(struct play *play, const Guts__V1__NodeReport *report)
{
    play->reports++;
    snprintf(play->instance, sizeof(play->instance), "%s", report->instance);
    if (report->full)
        play->declared = report->n_drivers > 0;
    assert_true(report->n_pools == 1 && codec_uuid(report->pools[0]->id, &play->pool_id));
    for (size_t i = 0; i < report->n_jobs; i++)
        read_job(play, report->jobs[i]);
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
        play->accepts++;
        break;
    case MESSAGE_JOB_REFUSE:
        play->refuses++;
        snprintf(play->refuse_code, sizeof(play->refuse_code), "%s",
                 ((const Guts__V1__JobRefuse *)body)->fault->code);
        break;
    case MESSAGE_JOB_FINISHED:
        read_result(play, ((const Guts__V1__JobFinished *)body)->result);
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

static void turn(struct play *play)
{
    struct bus_message message;
    if (play->node)
        node_turn(play->node, 5);
    while (bus_next(play->scheduler, 0, -1, &message))
        receive(play, &message);
    usleep(1000);
}

/* Turns the world until the expression holds. */
#define AWAIT(play, expression)                                                                    \
    do {                                                                                           \
        uint64_t patience = clock_mono_ms() + PATIENCE_MS;                                         \
        while (!(expression) && clock_mono_ms() < patience)                                        \
            turn(play);                                                                            \
        assert_true(expression);                                                                   \
    } while (0)

static void start_node(struct play *play)
{
    struct error err;
    play->bus = bus_memory_open(play->broker);
    struct node_plan plan = {.node = &play->settings, .worker = &play->worker, .bus = play->bus,
                             .signal_fd = -1};
    if (!node_open(&plan, &play->node, &err))
        fail_msg("%s", err.text);
    play->instance[0] = '\0';
    AWAIT(play, play->instance[0]);
}

static void stop_node(struct play *play)
{
    node_close(play->node);
    play->node = NULL;
    bus_close(play->bus);
}

static int set_up(void **state)
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
    play->settings = (struct node_settings){
        .name = "n1", .pools = {pools, 1}, .slots = 2, .memory_bytes = 1 << 30,
        .roots_read = {roots, 1}, .roots_write = {roots, 1}, .private_key = "",
        .report_interval_ms = 100, .report_expiry_ms = 10000, .stop_grace_ms = 3000};
    play->worker = (struct worker_settings){
        .buffer_bytes = 8 << 20, .open_files = 256, .disks_at_once = 2, .flush_bytes = 4 << 20,
        .flush_ms = 100, .stall_ms = 30000, .copy_idle_ms = 10000, .restarts = 2,
        .restart_first_ms = 10, .restart_most_ms = 50, .ledger_repeat_ms = 200};
    play->renews = play->answers = true;
    play->wanted = WANTED_GO;
    play->verdict = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED;
    play->job = uuid_new();
    play->owner = uuid_new();
    *state = play;
    if (!file_make_directory(play->world, 0755, &err))
        return -1;
    start_node(play);
    return 0;
}

static int tear_down(void **state)
{
    struct play *play = *state;
    struct error err;
    if (play->node)
        stop_node(play);
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

struct wish {
    enum job_kind kind;
    uint32_t attempt;
    const char *settings; /* of the source: ", \"vms\": 3" */
    const char *options;
    bool dry_run;
};

static void assign(struct play *play, const struct wish *wish)
{
    struct token token = {play->job, wish->attempt ? wish->attempt : 1, 0};
    struct vm vm = {.key = "vm-000001", .name = "fake-000001", .cpus = 1, .memory_mib = 1};
    Guts__V1__JobAssign job;
    guts__v1__job_assign__init(&job);
    job.node_instance = play->instance;
    job.token = codec_token_to(play->arena, &token);
    job.kind = (Guts__V1__JobKind)wish->kind;
    bool migration = wish->kind >= JOB_MIGRATE;
    job.owner_kind = migration ? GUTS__V1__OWNER_KIND__OWNER_KIND_MIGRATION
                               : GUTS__V1__OWNER_KIND__OWNER_KIND_SOURCE;
    job.owner_id = codec_uuid_to(&play->owner);
    job.source = make_end(play, wish->settings ? wish->settings : "");
    job.destination = migration ? make_end(play, "") : NULL;
    job.vm = migration ? codec_vm_to(play->arena, vm_copy(play->arena, &vm)) : NULL;
    job.options_json = (char *)(wish->options ? wish->options : "{\"store\": \"file\"}");
    job.state = GUTS__V1__MIGRATION_STATE__MIGRATION_STATE_SCHEDULED;
    job.pool = codec_uuid_to(&play->pool_id);
    job.dry_run = wish->dry_run;
    job.ledger = arena_calloc(play->arena, play->ledger_count + 1, sizeof(*job.ledger));
    for (size_t i = 0; i < play->ledger_count; i++)
        job.ledger[job.n_ledger++] = codec_ledger_entry_to(play->arena, &play->ledger[i]);
    publish(play, MESSAGE_JOB_ASSIGN, &job.base);
}

static const struct ledger_entry *entry_of(const struct play *play, const char *kind)
{
    for (size_t i = 0; i < play->ledger_count; i++) {
        if (strcmp(play->ledger[i].kind, kind) == 0)
            return &play->ledger[i];
    }
    return NULL;
}

/* How often the world's log tells of a deed. */
static unsigned count_deeds(struct play *play, const char *deed)
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

static void control(struct play *play, const char *rules)
{
    struct error err;
    CLEANUP(xfreep) char *path = xasprintf("%s/control.json", play->world);
    assert_true(file_replace(path, 0644, rules, strlen(rules), &err));
}

static bool directory_exists(const struct play *play)
{
    CLEANUP(xfreep) char *path =
        xasprintf("%s/jobs/n1/%s-1", play->pool, UUID_TEXT(&play->job));
    return access(path, F_OK) == 0;
}

static pid_t worker_pid(const struct play *play)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer journal = {0};
    CLEANUP(xfreep) char *path =
        xasprintf("%s/jobs/n1/%s-1/journal", play->pool, UUID_TEXT(&play->job));
    assert_true(file_read(path, 64 << 20, &journal, &err));
    long pid = 0;
    for (size_t i = 0; i + 7 < journal.length; i++) {
        if (memcmp(journal.data + i, "{\"pid\":", 7) == 0)
            pid = strtol(journal.data + i + 7, NULL, 10);
    }
    return (pid_t)pid;
}

#define SLOW ", \"disk_bytes\": 33554432, \"data_percent\": 100, \"bytes_per_second\": 33554432"

/* -- tests ---------------------------------------------------------------------------------------------------- */

static void a_node_declares_its_drivers_when_it_starts(void **state)
{
    struct play *play = *state;
    assert_true(play->declared);
}

static void a_migration_is_accepted_done_told_and_closed(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = ", \"disks\": 3"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->outcome, GUTS__V1__OUTCOME__OUTCOME_DONE);
    assert_int_equal(play->reached, MIGRATION_VERIFIED);
    assert_int_equal(play->accepts, 1);
    assert_non_null(strstr(play->evidence, "xxh3-128-tree:"));
    assert_int_equal(entry_of(play, "server")->state, LEDGER_MADE);
    assert_int_equal(entry_of(play, "snapshot")->state, LEDGER_MADE);
    assert_int_equal(count_deeds(play, "server"), 1);
    assert_true(directory_exists(play));
    play->wanted = WANTED_CLOSE;
    AWAIT(play, play->gone);
    assert_false(directory_exists(play));
}

static void a_doubled_assignment_is_accepted_again_and_done_once(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE});
    assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0 && play->accepts == 2);
    assert_int_equal(count_deeds(play, "server"), 1);
}

static void an_assignment_to_another_instance_is_dropped(void **state)
{
    struct play *play = *state;
    unsigned before = play->reports;
    strcpy(play->instance, "somebody else");
    assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->reports > before + 3);
    assert_int_equal(play->accepts + play->refuses, 0);
}

static void no_worker_starts_before_a_renewal_names_its_attempt(void **state)
{
    struct play *play = *state;
    play->renews = false;
    assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->accepts == 1);
    unsigned before = play->reports;
    AWAIT(play, play->reports > before + 5);
    assert_int_equal(play->run, 0);
    play->renews = true;
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->run, 1);
}

static void jobs_beyond_the_slots_are_refused(void **state)
{
    struct play *play = *state;
    struct wish wish = {.kind = JOB_MIGRATE, .settings = SLOW};
    for (int i = 0; i < 3; i++) {
        play->job = uuid_new();
        play->owner = uuid_new();
        assign(play, &wish);
    }
    AWAIT(play, play->refuses == 1);
    assert_int_equal(play->accepts, 2);
    assert_string_equal(play->refuse_code, FAULT_NODE_REFUSED.code);
}

static void a_dry_run_stops_after_the_preflight_and_touches_nothing(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .dry_run = true});
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->outcome, GUTS__V1__OUTCOME__OUTCOME_DONE);
    assert_int_equal(play->reached, MIGRATION_DISCOVERED);
    assert_int_equal(play->writes, 0);
}

static void a_running_vm_is_refused_unless_it_may_be_stopped(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = ", \"power\": \"on\""});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_VM_RUNNING.code);
    assert_int_equal(play->writes, 0);
    play->job = uuid_new();
    play->finishes = 0;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = ", \"power\": \"on\"",
                                .options = "{\"stop_source\": true}"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_string_equal(entry_of(play, "power")->prior_json, "{\"power\":\"on\"}");
}

static void a_rollback_takes_all_back_and_starts_the_vm_last(void **state)
{
    struct play *play = *state;
    const char *on = ", \"power\": \"on\"";
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = on,
                                .options = "{\"stop_source\": true}"});
    AWAIT(play, play->finishes > 0);
    play->job = uuid_new();
    play->finishes = 0;
    assign(play, &(struct wish){.kind = JOB_ROLLBACK, .attempt = 2, .settings = on});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    for (size_t i = 0; i < play->ledger_count; i++)
        assert_int_equal(play->ledger[i].state, LEDGER_UNDONE);
    assert_int_equal(count_deeds(play, "server_remove"), 1);
    assert_int_equal(count_deeds(play, "snapshot_remove"), 1);
    struct error err;
    CLEANUP(buffer_fini) struct buffer log = {0};
    CLEANUP(xfreep) char *path = xasprintf("%s/log", play->world);
    assert_true(file_read(path, 1 << 20, &log, &err));
    const char *last = NULL;
    for (const char *at = strstr(log.data, "\"deed\":"); at; at = strstr(at + 1, "\"deed\":"))
        last = at;
    assert_memory_equal(last, "\"deed\":\"power_on\"", 17);
}

static void a_rollback_that_fails_at_the_destination_leaves_the_source_off(void **state)
{
    struct play *play = *state;
    const char *on = ", \"power\": \"on\"";
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = on,
                                .options = "{\"stop_source\": true}"});
    AWAIT(play, play->finishes > 0);
    control(play, "[{\"deed\": \"server_remove\", \"fault\": \"destination_refused\"}]");
    play->job = uuid_new();
    play->finishes = 0;
    assign(play, &(struct wish){.kind = JOB_ROLLBACK, .attempt = 2, .settings = on});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_DESTINATION_REFUSED.code);
    assert_int_equal(entry_of(play, "server")->state, LEDGER_ERROR);
    assert_int_equal(entry_of(play, "disk")->state, LEDGER_UNDONE);
    assert_int_equal(entry_of(play, "power")->state, LEDGER_MADE);
}

static void a_cleanup_keeps_the_server_and_drops_the_snapshot(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    play->job = uuid_new();
    play->finishes = 0;
    assign(play, &(struct wish){.kind = JOB_CLEANUP, .attempt = 2});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(entry_of(play, "server")->state, LEDGER_KEPT);
    assert_int_equal(entry_of(play, "snapshot")->state, LEDGER_UNDONE);
}

static void a_discovery_comes_in_pages_and_then_ends(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_DISCOVER, .settings = ", \"vms\": 5000"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->vms, 5000);
    assert_true(play->pages > 2);
    assert_true(play->last_page);
}

static void a_fenced_ledger_write_ends_the_job_before_its_deed(void **state)
{
    struct play *play = *state;
    play->verdict = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_FENCED;
    assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_FENCED.code);
    assert_int_equal(count_deeds(play, "snapshot"), 0);
    play->wanted = WANTED_FENCED;
    AWAIT(play, play->gone);
    assert_false(directory_exists(play));
}

static void an_unanswered_ledger_write_is_sent_again_and_holds_the_deed_back(void **state)
{
    struct play *play = *state;
    play->answers = false;
    assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->writes >= 3);
    assert_int_equal(count_deeds(play, "snapshot"), 0);
    play->answers = true;
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(count_deeds(play, "snapshot"), 1);
}

static void a_cancel_in_mid_copy_ends_the_job_as_cancelled(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    play->wanted = WANTED_CANCEL;
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->outcome, GUTS__V1__OUTCOME__OUTCOME_CANCELLED);
    assert_int_equal(count_deeds(play, "server"), 0);
}

static void a_worker_killed_in_mid_copy_goes_on_from_its_journal(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 12 << 20);
    kill(worker_pid(play), SIGKILL);
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->run, 2);
    assert_int_equal(count_deeds(play, "server"), 1);
    json_t *evidence = json_loads(play->evidence, 0, NULL);
    json_t *content = json_object_get(evidence, "content");
    json_int_t read = json_integer_value(json_object_get(content, "bytes_read"));
    assert_int_equal(json_integer_value(json_object_get(content, "resumes")), 1);
    /* Bytes in flight at the kill were never told; what is told is each byte once, and little more. */
    assert_true(read >= 28 << 20 && read <= 40 << 20);
    json_decref(evidence);
}

static void a_node_that_starts_again_goes_on_with_its_jobs(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 12 << 20);
    stop_node(play);
    start_node(play);
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->run, 2);
    assert_int_equal(play->resumes, 1);
}

static void a_result_is_told_again_after_a_start(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    stop_node(play);
    play->reached = MIGRATION_UNKNOWN;
    start_node(play);
    assert_true(directory_exists(play));
    play->wanted = WANTED_CLOSE;
    AWAIT(play, play->gone);
}

static void a_worker_that_always_crashes_ends_the_job_with_its_signal(void **state)
{
    struct play *play = *state;
    uint32_t run = 0;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    while (play->finishes == 0) {
        AWAIT(play, play->finishes > 0 || (play->run > run && play->done_bytes > 0));
        run = play->run;
        if (play->finishes == 0)
            kill(worker_pid(play), SIGSEGV);
        play->done_bytes = 0;
    }
    assert_string_equal(play->fault, FAULT_WORKER_CRASHED.code);
    assert_non_null(strstr(play->fault_text, "signal 11"));
    assert_int_equal(run, 3);
}

static void a_broker_that_is_away_does_not_stop_a_copy(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    bus_memory_set_up(play->broker, false);
    uint64_t until = clock_mono_ms() + 1000;
    while (clock_mono_ms() < until)
        turn(play);
    bus_memory_set_up(play->broker, true);
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->run, 1);
}

static void a_source_that_changes_meanwhile_is_copied_again(void **state)
{
    struct play *play = *state;
    struct error err;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    CLEANUP(xfreep) char *path = xasprintf("%s/vms/vm-000001.generation", play->world);
    assert_true(file_replace(path, 0644, "1", 1, &err));
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    json_t *evidence = json_loads(play->evidence, 0, NULL);
    json_t *content = json_object_get(evidence, "content");
    assert_true(json_integer_value(json_object_get(content, "bytes_read")) >= 64 << 20);
    json_decref(evidence);
}

static void an_older_attempt_is_dropped_when_a_newer_one_comes(void **state)
{
    struct play *play = *state;
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    assign(play, &(struct wish){.kind = JOB_MIGRATE, .attempt = 2, .settings = SLOW});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_false(directory_exists(play));
    assert_int_equal(count_deeds(play, "server"), 1);
    assert_int_equal(count_deeds(play, "disk_remove"), 1);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_VERB) == 0)
        return worker_main();
    log_open("test", LOG_ERROR_LEVEL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_node_declares_its_drivers_when_it_starts),
        TEST(a_migration_is_accepted_done_told_and_closed),
        TEST(a_doubled_assignment_is_accepted_again_and_done_once),
        TEST(an_assignment_to_another_instance_is_dropped),
        TEST(no_worker_starts_before_a_renewal_names_its_attempt),
        TEST(jobs_beyond_the_slots_are_refused),
        TEST(a_dry_run_stops_after_the_preflight_and_touches_nothing),
        TEST(a_running_vm_is_refused_unless_it_may_be_stopped),
        TEST(a_rollback_takes_all_back_and_starts_the_vm_last),
        TEST(a_rollback_that_fails_at_the_destination_leaves_the_source_off),
        TEST(a_cleanup_keeps_the_server_and_drops_the_snapshot),
        TEST(a_discovery_comes_in_pages_and_then_ends),
        TEST(a_fenced_ledger_write_ends_the_job_before_its_deed),
        TEST(an_unanswered_ledger_write_is_sent_again_and_holds_the_deed_back),
        TEST(a_cancel_in_mid_copy_ends_the_job_as_cancelled),
        TEST(a_worker_killed_in_mid_copy_goes_on_from_its_journal),
        TEST(a_node_that_starts_again_goes_on_with_its_jobs),
        TEST(a_result_is_told_again_after_a_start),
        TEST(a_worker_that_always_crashes_ends_the_job_with_its_signal),
        TEST(a_broker_that_is_away_does_not_stop_a_copy),
        TEST(a_source_that_changes_meanwhile_is_copied_again),
        TEST(an_older_attempt_is_dropped_when_a_newer_one_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
