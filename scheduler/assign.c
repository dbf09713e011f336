/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/assign.h"

#include <stdlib.h>
#include <string.h>

#include "proto/fault.h"
#include "scheduler/advance.h"
#include "scheduler/leadership.h"

/* At most: tag and length around an assignment; the message's other fields. */
#define ASSIGNMENT_FRAME_BYTES 6
#define ASSIGN_HEAD_BYTES 128

/* -- what the messages are made of --------------------------------------------------------------------- */

struct material {
    struct migration_option *options;
    size_t option_count;
    struct inventory_vm *vms;
    size_t vm_count;
    struct endpoint_fact *sources, *destinations;
    size_t source_count, destination_count;
};

struct wanted_ids {
    struct uuid *migrations, *vms, *sources, *destinations, *owners;
    size_t migration_count, vm_count, source_count, destination_count, owner_count;
};

static int compare_ids(const void *a, const void *b)
{
    return uuid_compare(a, b);
}

static size_t unique(struct uuid *ids, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(ids, count, sizeof *ids, compare_ids);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !uuid_equal(&ids[kept - 1], &ids[i]))
            ids[kept++] = ids[i];
    return kept;
}

static void want_job(const struct tick *tick, struct wanted_ids *ids, const struct job *job)
{
    if (job->fact.attempt > 1)
        ids->owners[ids->owner_count++] = job->fact.owner_id;
    if (job->migration != NULL) {
        if (map_find(&tick->options, &job->migration->fact.id) == NULL)
            ids->migrations[ids->migration_count++] = job->migration->fact.id;
        ids->vms[ids->vm_count++] = job->migration->fact.vm_id;
        ids->sources[ids->source_count++] = job->migration->fact.source_id;
        ids->destinations[ids->destination_count++] = job->migration->fact.destination_id;
    } else if (job->fact.owner_kind == OWNER_SOURCE) {
        ids->sources[ids->source_count++] = job->fact.owner_id;
    } else {
        ids->destinations[ids->destination_count++] = job->fact.owner_id;
    }
}

static bool read_material(struct tick *tick, struct job *const *jobs, size_t job_count,
                          struct material *material, struct error *err)
{
    struct db *db = tick->scheduler->db;
    size_t count = job_count + 1;
    struct arena *arena = tick->arena;
    struct wanted_ids ids = {arena_calloc(arena, count, sizeof(struct uuid)),
                             arena_calloc(arena, count, sizeof(struct uuid)),
                             arena_calloc(arena, count, sizeof(struct uuid)),
                             arena_calloc(arena, count, sizeof(struct uuid)),
                             arena_calloc(arena, count, sizeof(struct uuid))};
    for (size_t i = 0; i < job_count; i++)
        want_job(tick, &ids, jobs[i]);
    return migration_state_load_options(db, arena, ids.migrations,
                                        unique(ids.migrations, ids.migration_count),
                                        &material->options, &material->option_count, err) &&
           inventory_load(db, arena, ids.vms, unique(ids.vms, ids.vm_count), &material->vms,
                          &material->vm_count, err) &&
           endpoint_fact_load(db, arena, END_SOURCE, ids.sources,
                              unique(ids.sources, ids.source_count), &material->sources,
                              &material->source_count, err) &&
           endpoint_fact_load(db, arena, END_DESTINATION, ids.destinations,
                              unique(ids.destinations, ids.destination_count),
                              &material->destinations, &material->destination_count, err) &&
           tick_read_ledgers(tick, ids.owners, ids.owner_count, err);
}

/* All materials are sorted by id, and id is their first member. */
static const void *find_by_id(const void *items, size_t count, size_t size, const struct uuid *id)
{
    return count == 0 ? NULL : bsearch(id, items, count, size, compare_ids);
}

/* -- the message ----------------------------------------------------------------------------------------- */

static Guts__V1__Endpoint *endpoint_to(struct arena *arena, const struct endpoint_fact *fact)
{
    Guts__V1__Endpoint *endpoint = arena_alloc(arena, sizeof *endpoint);
    guts__v1__endpoint__init(endpoint);
    endpoint->id = codec_uuid_to(&fact->id);
    endpoint->driver = (char *)fact->driver;
    endpoint->name = (char *)fact->name;
    endpoint->settings_json = (char *)fact->settings_json;
    endpoint->address = (char *)fact->address;
    endpoint->seal = (ProtobufCBinaryData){fact->seal_length, (uint8_t *)fact->seal};
    endpoint->seal_key_id = (char *)fact->seal_key_id;
    return endpoint;
}

static void put_ledger(struct tick *tick, const struct job *job, Guts__V1__Assignment *assign)
{
    const struct owner_ledger *ledger = map_find(&tick->ledgers, &job->fact.owner_id);
    if (ledger == NULL || ledger->entries.count == 0)
        return;
    assign->n_ledger = ledger->entries.count;
    assign->ledger = arena_calloc(tick->arena, assign->n_ledger, sizeof *assign->ledger);
    for (size_t i = 0; i < assign->n_ledger; i++) {
        const struct ledger_fact *fact = ledger->entries.items[i];
        const struct ledger_entry entry = {
            .end = fact->end,
            .kind = fact->kind,
            .key = fact->key,
            .state = fact->state,
            .external_id = fact->external_id,
            .prior_json = fact->prior_json,
            .detail = fact->detail,
            .order = fact->position,
            .attempt = fact->token.attempt,
        };
        assign->ledger[i] = codec_ledger_entry_to(tick->arena, &entry);
    }
}

static void put_migration(struct tick *tick, const struct job *job, const struct material *material,
                          Guts__V1__Assignment *assign)
{
    const struct migration_fact *fact = &job->migration->fact;
    const struct inventory_vm *vm =
        find_by_id(material->vms, material->vm_count, sizeof *material->vms, &fact->vm_id);
    const struct migration_option *option = map_find(&tick->options, &fact->id);
    if (option == NULL)
        option = find_by_id(material->options, material->option_count, sizeof *material->options,
                            &fact->id);
    if (vm != NULL)
        assign->vm = codec_vm_to(tick->arena, &vm->vm);
    if (option != NULL) {
        assign->options_json = (char *)option->options_json;
        assign->server_name = (char *)option->server_name;
    }
    assign->state = (Guts__V1__MigrationState)fact->state;
    assign->dry_run = fact->dry_run;
}

/* False when what the job is about has gone. */
static bool put_endpoints(struct tick *tick, const struct job *job, const struct material *material,
                          Guts__V1__Assignment *assign)
{
    const struct migration *migration = job->migration;
    bool needs_source = migration != NULL || job->fact.owner_kind == OWNER_SOURCE;
    bool needs_destination = migration != NULL || job->fact.owner_kind == OWNER_DESTINATION;
    const struct uuid *source_id = migration ? &migration->fact.source_id : &job->fact.owner_id;
    const struct uuid *destination_id =
        migration ? &migration->fact.destination_id : &job->fact.owner_id;
    const struct endpoint_fact *source =
        find_by_id(material->sources, material->source_count, sizeof *material->sources, source_id);
    const struct endpoint_fact *destination =
        find_by_id(material->destinations, material->destination_count,
                   sizeof *material->destinations, destination_id);
    if ((needs_source && source == NULL) || (needs_destination && destination == NULL))
        return false;
    if (needs_source)
        assign->source = endpoint_to(tick->arena, source);
    if (needs_destination)
        assign->destination = endpoint_to(tick->arena, destination);
    return true;
}

/* One assignment, packed into the tick's arena. */
static ProtobufCBinaryData pack(struct tick *tick, const struct job *job,
                                Guts__V1__Assignment *assign)
{
    CLEANUP(buffer_fini) struct buffer packed = {0};
    const struct token token = {job->fact.id, job->fact.attempt, 0};
    assign->token = codec_token_to(tick->arena, &token);
    assign->kind = (Guts__V1__JobKind)job->fact.kind;
    assign->owner_kind = (Guts__V1__OwnerKind)job->fact.owner_kind;
    assign->owner_id = codec_uuid_to(&job->fact.owner_id);
    assign->project = (char *)job->fact.project;
    assign->pool = codec_uuid_to(&job->fact.pool_id);
    assign->reserved_bytes = job->fact.reserved_bytes;
    if (job->fact.request_json != NULL)
        assign->request_json = (char *)job->fact.request_json;
    put_ledger(tick, job, assign);
    codec_pack(&assign->base, &packed);
    return (ProtobufCBinaryData){packed.length,
                                 arena_memdup(tick->arena, packed.data, packed.length)};
}

static void note_endpoint(struct tick *tick, const struct job *job)
{
    if (job->migration != NULL || job->was_sent_again)
        return;
    *TICK_ADD(tick, &tick->endpoints) = (struct endpoint_change){
        .end = job->fact.owner_kind == OWNER_SOURCE ? END_SOURCE : END_DESTINATION,
        .id = job->fact.owner_id,
        .state = job->fact.kind == JOB_TEST ? NULL : "refreshing",
        .attempt = job->fact.attempt,
    };
}

/* Assignments of one node that go in one message. */
struct parcel {
    struct job **jobs;
    ProtobufCBinaryData *assignments;
    size_t count, bytes;
};

static void send(struct tick *tick, struct parcel *parcel)
{
    struct scheduler *scheduler = tick->scheduler;
    Guts__V1__JobAssign message = GUTS__V1__JOB_ASSIGN__INIT;
    if (parcel->count == 0)
        return;
    const struct node *node = parcel->jobs[0]->node;
    uint64_t cookie = ++scheduler->last_cookie;
    scheduler->cookies[cookie % SENT_COOKIES] = (struct sent_cookie){cookie, node->id};
    for (size_t i = 0; i < parcel->count; i++)
        parcel->jobs[i]->sent_cookie = cookie;
    message.node_instance = (char *)node->instance;
    message.assignments = parcel->assignments;
    message.n_assignments = parcel->count;
    tick_send_node(tick, node->name, MESSAGE_JOB_ASSIGN, &message.base, true, cookie);
    parcel->count = parcel->bytes = 0;
}

static void put(struct tick *tick, struct parcel *parcel, struct job *job,
                ProtobufCBinaryData assignment)
{
    size_t bytes = assignment.len + ASSIGNMENT_FRAME_BYTES;
    if (parcel->count > 0 &&
        (parcel->jobs[0]->node != job->node || parcel->bytes + bytes > BUS_PAGE_MOST_BYTES))
        send(tick, parcel);
    if (parcel->count == 0)
        parcel->bytes = ASSIGN_HEAD_BYTES;
    parcel->jobs[parcel->count] = job;
    parcel->assignments[parcel->count++] = assignment;
    parcel->bytes += bytes;
}

/* No assignment can be made of it, now or later: it has failed, and the others go on. */
static bool end_unbuilt(struct tick *tick, struct job *job, const struct error *why,
                        struct error *err)
{
    const struct job_end end = {OUTCOME_IS_FAILED, why->fault,
                                arena_strdup(tick->arena, why->text)};
    if (!tick_read_ledgers(tick, &job->fact.owner_id, 1, err))
        return false;
    picture_unplace_job(tick->picture, job);
    advance_finished(tick, job, &end);
    return true;
}

/* Those of one node side by side, each node's in order of their ids. */
static int compare_placed(const void *a, const void *b)
{
    const struct job *left = *(struct job *const *)a, *right = *(struct job *const *)b;
    int order = left->node == right->node ? 0 : uuid_compare(&left->node->id, &right->node->id);
    return order != 0 ? order : uuid_compare(&left->fact.id, &right->fact.id);
}

/* False with the reason when this job cannot be told to a node. */
static bool build(struct tick *tick, struct job *job, const struct material *material,
                  struct parcel *parcel, struct error *ret_why)
{
    Guts__V1__Assignment assign = GUTS__V1__ASSIGNMENT__INIT;
    if (job->migration != NULL)
        put_migration(tick, job, material, &assign);
    if (!put_endpoints(tick, job, material, &assign))
        return error_set(ret_why, &FAULT_NOT_FOUND, "the source or the destination was deleted");
    ProtobufCBinaryData packed = pack(tick, job, &assign);
    if (packed.len + ASSIGNMENT_FRAME_BYTES + ASSIGN_HEAD_BYTES > BUS_MESSAGE_MOST_BYTES)
        return error_set(ret_why, &FAULT_TOO_LARGE,
                         "its assignment has %zu bytes: options, settings or ledger are too large",
                         packed.len);
    note_endpoint(tick, job);
    put(tick, parcel, job, packed);
    return true;
}

/* What concerns the rows that were asked for, and not the database. */
static bool is_of_rows(const struct error *err)
{
    return err->fault == &FAULT_TOO_LARGE || err->fault == &FAULT_INVALID;
}

/* The material of all could not be read: each has its own, and only the culprit ends. */
static bool build_apart(struct tick *tick, struct job *job, struct parcel *parcel,
                        struct error *err)
{
    struct material material = {0};
    struct error why = {0};
    if (!read_material(tick, &job, 1, &material, &why) && !is_of_rows(&why)) {
        *err = why;
        return false;
    }
    return (why.fault == NULL && build(tick, job, &material, parcel, &why)) ||
           end_unbuilt(tick, job, &why, err);
}

bool assign_build(struct tick *tick, struct error *err)
{
    struct material material = {0};
    size_t count = tick->placed.count;
    if (count == 0)
        return true;
    bool is_whole = read_material(tick, tick->placed.items, count, &material, err);
    if (!is_whole && !is_of_rows(err))
        return false;
    qsort(tick->placed.items, count, sizeof(struct job *), compare_placed);
    struct parcel parcel = {
        .jobs = arena_calloc(tick->arena, count, sizeof(struct job *)),
        .assignments = arena_calloc(tick->arena, count, sizeof(ProtobufCBinaryData)),
    };
    for (size_t i = 0; i < count; i++) {
        struct job *job = tick->placed.items[i];
        struct error why;
        if (i > 0 && job == tick->placed.items[i - 1])
            continue; /* placed, and sent again */
        if (is_whole
                ? !build(tick, job, &material, &parcel, &why) && !end_unbuilt(tick, job, &why, err)
                : !build_apart(tick, job, &parcel, err))
            return false;
    }
    send(tick, &parcel);
    tick->placed.count = 0;
    return true;
}

/* -- answers that do not come ---------------------------------------------------------------------------- */

void assign_fate(void *context, uint64_t cookie, enum bus_fate fate)
{
    struct scheduler *scheduler = context;
    const struct sent_cookie *sent = &scheduler->cookies[cookie % SENT_COOKIES];
    if (fate == BUS_CONFIRMED || cookie == 0 || sent->cookie != cookie)
        return;
    if (scheduler->returned_count < COUNT_OF(scheduler->returned) && fate == BUS_RETURNED)
        scheduler->returned[scheduler->returned_count++] = *sent;
}

static bool take_back(struct tick *tick, const struct sent_cookie *sent, struct error *err)
{
    struct node *node = map_find(&tick->picture->nodes, &sent->node);
    if (node == NULL)
        return true;
    LIST_EACH(&node->jobs, at)
    {
        struct job *job = LIST_ITEM(at, struct job, node_link);
        if (job->fact.state != JOB_ASSIGNED || job->sent_cookie != sent->cookie)
            continue;
        if (!tick_read_ledgers(tick, &job->fact.owner_id, 1, err))
            return false;
        advance_requeue(tick, job, &FAULT_NODE_REFUSED, "the node has no queue at the broker",
                        tick->scheduler->settings->resend_ms);
    }
    return true;
}

static bool take_returned(struct tick *tick, struct error *err)
{
    struct scheduler *scheduler = tick->scheduler;
    for (size_t i = 0; i < scheduler->returned_count; i++)
        if (!take_back(tick, &scheduler->returned[i], err))
            return false;
    scheduler->returned_count = 0;
    return true;
}

/* For how long the node's answer has been able to reach us. */
static uint64_t could_be_accepted_ms(const struct tick *tick, const struct job *job)
{
    uint64_t assigned_at = job->fact.assigned_at;
    uint64_t waited_ms = tick->now_us > assigned_at ? (tick->now_us - assigned_at) / 1000 : 0;
    uint64_t heard_ms = tick->now_ms - leadership_hears_since_ms(tick->scheduler);
    return waited_ms < heard_ms ? waited_ms : heard_ms;
}

bool assign_sweep(struct tick *tick, struct error *err)
{
    const struct scheduler_settings *settings = tick->scheduler->settings;
    if (!take_returned(tick, err))
        return false;
    LIST_EACH(&tick->picture->sent, at)
    {
        struct job *job = LIST_ITEM(at, struct job, sent_link);
        if (tick->now_ms - job->sent_ms < settings->resend_ms)
            break; /* the list is in order of sending */
        if (could_be_accepted_ms(tick, job) >= settings->takeover_ms) {
            if (!tick_read_ledgers(tick, &job->fact.owner_id, 1, err))
                return false;
            advance_requeue(tick, job, &FAULT_NODE_LOST, "the node did not accept it in time", 0);
            continue;
        }
        job->was_sent_again = true;
        job->sent_ms = tick->now_ms;
        list_remove(&job->sent_link);
        list_append(&tick->picture->sent, &job->sent_link);
        *TICK_ADD(tick, &tick->placed) = job;
    }
    return true;
}
