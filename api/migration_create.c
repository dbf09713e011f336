/* SPDX-License-Identifier: Apache-2.0
 *
 * New migrations: of one vm, or of thousands in one call. */
#include "common/store/migration_create.h"

#include <string.h>

#include "api/api.h"
#include "api/aside.h"
#include "api/driver.h"
#include "api/endpoint.h"
#include "api/notice.h"
#include "api/option.h"
#include "api/routes.h"
#include "common/base/clock.h"
#include "common/store/vm_view.h"
#include "proto/fault.h"

#define VMS_MOST 10000
#define SMALL_CALL 60 /* vms whose rows are written at once */
/* Else so many are written first: fewer than the scheduler's first look takes, so that it need not look
 * for more before it hears that they were accepted; and the fewer they are, the sooner it does. */
#define FIRST_PIECE 24
#define PIECE 512
#define LEAD_MS 60 /* that the first piece is ahead, so that its jobs do not share the database */
#define ASIDE_LEAST 500 /* vms that are worth another thread's time */
#define OURS_PERCENT                                                                               \
    30 /* of the vms are checked here, where the first rows are written meanwhile */
#define OPTIONS_BYTES_MOST (64u << 10)

struct creation;

/* Part of the vms, asked about in the cheap way. */
struct quick_check {
    const struct creation *creation;
    struct arena *arena;
    size_t from, to;
    bool plain, done;
    struct error err;
};

struct creation {
    struct call *call;
    struct reader *reader;
    struct endpoint destination;
    struct uuid source_id; /* nil: any */
    const char **names;    /* of vms, as they were asked for */
    size_t count;
    struct vm_match *matches;
    const char *server_name;
    struct migration_new_shared shared;
    struct migration_new *rows; /* those that are not gone */
    size_t *row_of;             /* for each vm its row, or SIZE_MAX */
    size_t row_count;
    struct migration_created *results;
    struct quick_check other; /* in another thread */
    size_t first;             /* vms whose rows are written first */
    bool is_helped, is_checked;
};

static void read_vms(struct creation *creation)
{
    size_t index;
    json_t *vm;
    struct reader *reader = creation->reader;
    const json_t *vms = reader_array(reader, "vms", READER_REQUIRED, VMS_MOST);
    creation->count = json_array_size(vms);
    if (vms != NULL && creation->count == 0)
        reader_complain(reader, "vms", "must name at least one");
    creation->names = arena_calloc(reader->arena, creation->count + 1, sizeof(char *));
    json_array_foreach((json_t *)vms, index, vm) {
        const char *name = json_string_value(vm);
        if (name == NULL || json_string_length(vm) != strlen(name) || !call_name_is_sound(name))
            reader_complain(reader, arena_printf(reader->arena, "vms/%zu", index),
                            "must be an id or a name");
        creation->names[index] = name;
    }
}

static void read_server_name(struct creation *creation)
{
    struct reader *reader = creation->reader;
    const char *name = reader_text(reader, "name", READER_OPTIONAL, 1, 255);
    const char *server_name = reader_text(reader, "server_name", READER_OPTIONAL, 1, 255);
    if (name != NULL && server_name != NULL && strcmp(name, server_name) != 0)
        reader_complain(reader, "name", "differs from server_name");
    creation->server_name = server_name != NULL ? server_name : name;
    if (creation->server_name != NULL && creation->count > 1)
        reader_complain(reader, server_name != NULL ? "server_name" : "name",
                        "is for a single vm only");
}

/* FAULT_DRIVER_UNKNOWN, or complaints. */
static bool check_options(struct creation *creation, const json_t *options, struct error *err)
{
    json_t *declaration;
    struct call *call = creation->call;
    struct option_values values;
    struct option_names names;
    if (!driver_declaration(call, END_DESTINATION, creation->destination.definition.driver,
                            &declaration, err))
        return false;
    const json_t *declared = json_object_get(declaration, "options");
    option_check(creation->reader, "options", declared, options, &values);
    option_require(creation->reader, "options", declared, values.plain, NULL);
    option_catalog_names(creation->reader, "options", declared, values.plain, &names);
    if (json_object_size(values.secrets) > 0)
        reader_complain(creation->reader, "options", "must not hold secrets");
    char *text = json_dumps(values.plain, JSON_COMPACT | JSON_SORT_KEYS);
    if (strlen(text) > OPTIONS_BYTES_MOST)
        reader_complain(creation->reader, "options", "are longer than %u bytes",
                        OPTIONS_BYTES_MOST);
    creation->shared.options_json = arena_strdup(call->arena, text);
    free(text);
    option_values_fini(&values);
    json_decref(declaration);
    return option_lookup(call, creation->reader, &creation->destination, &names, err);
}

/* What does not exist is told by its own fault, or among others that are wrong. */
static bool find_end(struct creation *creation, enum end end, const char *name,
                     struct endpoint *ret_endpoint, struct error *err)
{
    if (endpoint_named(creation->call, end, name, ret_endpoint, err))
        return true;
    if (err->fault == &FAULT_NOT_FOUND && creation->reader->error_count > 0)
        reader_complain(creation->reader, end_name(end), "does not exist");
    return false;
}

static bool find_ends(struct creation *creation, const char *destination, const char *source_name,
                      struct error *err)
{
    struct endpoint source = {0};
    if (!find_end(creation, END_DESTINATION, destination, &creation->destination, err) ||
        (source_name != NULL && !find_end(creation, END_SOURCE, source_name, &source, err)))
        return false;
    creation->source_id = source.id;
    creation->shared.project = creation->destination.project;
    return true;
}

static bool read_creation(struct creation *creation, struct error *err)
{
    static const char *const ways[] = {"rollback", "keep", NULL};
    struct call *call = creation->call;
    if (!call_read_body(call, true, &creation->reader, err))
        return false;
    struct reader *reader = creation->reader;
    const char *destination = reader_text(reader, "destination", READER_REQUIRED, 1, 255);
    const char *source_name = reader_text(reader, "source", READER_OPTIONAL, 1, 255);
    const json_t *options = reader_object(reader, "options", READER_OPTIONAL);
    read_vms(creation);
    read_server_name(creation);
    creation->shared.on_failure = ways[reader_word(reader, "on_failure", READER_OPTIONAL, 0, ways)];
    creation->shared.dry_run = reader_bool(reader, "dry_run", READER_OPTIONAL, false);
    creation->shared.who = call->identity.name;
    reader_finish(reader);
    if (destination != NULL && (!find_ends(creation, destination, source_name, err) ||
                                !check_options(creation, options, err)))
        return reader->error_count > 0 ? call_sound(call, err) : false;
    return call_sound(call, err);
}

/* NULL when the vm is as it should be. */
static const char *what_is_wrong(const struct creation *creation, size_t index,
                                 const struct fault **ret_fault)
{
    const struct vm_match *match = &creation->matches[index];
    *ret_fault = &FAULT_NOT_FOUND;
    if (match->found == 0)
        return "does not exist";
    if (strcmp(match->project, creation->shared.project) != 0 && match->found == 1)
        return "is of another project than the destination";
    if (match->found == 1)
        return NULL;
    *ret_fault = &FAULT_NAME_AMBIGUOUS;
    return "is the name of several: give the id or the source";
}

/* The vms of [from, to), and their rows behind those that there are already. */
static bool match_piece(struct creation *creation, size_t from, size_t to, struct error *err)
{
    struct call *call = creation->call;
    struct vm_match *matches;
    if (!vm_view_match(call->store, call->arena, call->scope, &creation->source_id,
                       creation->names + from, to - from, &matches, err))
        return false;
    memcpy(&creation->matches[from], matches, (to - from) * sizeof(*matches));
    return true;
}

/* One vm that is wrong is told with its own fault; of many, all are told. */
static bool are_sound(struct creation *creation, size_t from, size_t to, struct error *err)
{
    const struct fault *fault;
    struct reader *reader = creation->reader;
    bool sound = true;
    for (size_t i = from; i < to; i++) {
        const char *what = what_is_wrong(creation, i, &fault);
        if (what == NULL)
            continue;
        sound = error_set(err, fault, "vm \"%s\" %s", creation->names[i], what);
        reader_complain(reader, arena_printf(reader->arena, "vms/%zu", i), "%s", what);
    }
    return sound || (creation->count > 1 && call_sound(creation->call, err));
}

static bool match_soundly(struct creation *creation, size_t from, size_t to, struct error *err)
{
    return match_piece(creation, from, to, err) && are_sound(creation, from, to, err);
}

/* -- whether all vms are sound --------------------------------------------------------------------
 * One wrong vm refuses the call, and nothing of it is kept; yet the first jobs shall not wait for the
 * look at thousands. So the first rows are inserted while another thread asks for most of the rest in
 * the cheap way, and committed once that has answered. Where it finds something, or cannot tell, each
 * vm is looked at. */

static void quick_check_run(void *context, struct store *store)
{
    struct quick_check *check = context;
    const struct creation *creation = check->creation;
    check->done = vm_view_are_plain(
        store, check->arena, creation->call->scope, &creation->source_id, creation->shared.project,
        creation->names + check->from, check->to - check->from, &check->plain, &check->err);
}

static void begin_check(struct creation *creation)
{
    size_t all = creation->count, first = creation->first;
    size_t from = all - first < ASIDE_LEAST ? all : first + (all - first) * OURS_PERCENT / 100;
    creation->other =
        (struct quick_check){creation, arena_new(), from, all, true, from == all, {0}};
    creation->is_helped =
        from < all && aside_begin(creation->call->api->aside, quick_check_run, &creation->other);
}

static void await_other(struct creation *creation)
{
    if (creation->is_helped)
        aside_end(creation->call->api->aside);
    creation->is_helped = false;
}

/* What the other could not answer is asked here. */
static bool are_plain(struct creation *creation, bool *ret_plain, struct error *err)
{
    struct call *call = creation->call;
    struct quick_check *other = &creation->other;
    struct quick_check ours = {creation, call->arena, creation->first, other->from, false,
                               false,    {0}};
    if (ours.from < ours.to)
        quick_check_run(&ours, call->store);
    else
        ours.plain = ours.done = true;
    await_other(creation);
    if (!other->done)
        quick_check_run(other, call->store);
    if (!ours.done || !other->done) {
        *err = ours.done ? other->err : ours.err;
        return false;
    }
    *ret_plain = ours.plain && other->plain;
    return true;
}

/* The consent to the commit of the first rows. */
static bool check_rest(void *context, struct error *err)
{
    struct creation *creation = context;
    bool plain = false;
    if (creation->is_checked)
        return true;
    if (!are_plain(creation, &plain, err) ||
        (!plain && !match_soundly(creation, 0, creation->count, err)))
        return false;
    creation->is_checked = true;
    return true;
}

static void end_check(struct creation *creation)
{
    await_other(creation);
    arena_free(creation->other.arena);
}

/* -- rows ------------------------------------------------------------------------------------------ */

static void begin_results(struct creation *creation)
{
    struct arena *arena = creation->call->arena;
    creation->matches = arena_calloc(arena, creation->count, sizeof(*creation->matches));
    creation->rows = arena_calloc(arena, creation->count, sizeof(*creation->rows));
    creation->row_of = arena_calloc(arena, creation->count, sizeof(*creation->row_of));
    creation->results = arena_calloc(arena, creation->count, sizeof(*creation->results));
}

static void make_rows(struct creation *creation, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct vm_match *match = &creation->matches[i];
        creation->row_of[i] = match->gone_at == 0 ? creation->row_count : SIZE_MAX;
        if (match->gone_at != 0)
            continue;
        const char *server = creation->server_name != NULL ? creation->server_name : match->name;
        creation->rows[creation->row_count++] = (struct migration_new){
            uuid_new(), match->id, match->source_id, creation->destination.id, match->name, server};
    }
}

static void on_created(void *context, const struct uuid *ids, size_t count)
{
    struct creation *creation = context;
    if (count > 0)
        notice_wake(creation->call->api->notice, OWNER_MIGRATION, &ids[0]);
}

static void write_created(struct writer *writer, const struct migration_new *row)
{
    writer_object_begin(writer, NULL);
    writer_uuid(writer, "id", &row->id);
    writer_uuid(writer, "vm_id", &row->vm_id);
    writer_text(writer, "vm_name", row->vm_name);
    writer_text(writer, "server_name", row->server_name);
    writer_text(writer, "state", "PENDING");
    writer_object_end(writer);
}

static const struct uuid *existing_of(const struct creation *creation, size_t vm)
{
    static const struct uuid none;
    size_t row = creation->row_of[vm];
    return row == SIZE_MAX ? &none : &creation->results[row].existing;
}

static bool was_created(const struct creation *creation, size_t vm)
{
    return creation->row_of[vm] != SIZE_MAX && uuid_is_nil(existing_of(creation, vm));
}

static void write_skipped(struct writer *writer, const struct creation *creation, size_t vm)
{
    const struct uuid *existing = existing_of(creation, vm);
    writer_object_begin(writer, NULL);
    writer_text(writer, "vm", creation->names[vm]);
    writer_uuid(writer, "vm_id", &creation->matches[vm].id);
    writer_text(writer, "reason", uuid_is_nil(existing) ? "vm_gone" : "exists");
    writer_uuid(writer, "migration", existing);
    writer_object_end(writer);
}

static void write_answer(struct creation *creation)
{
    size_t created = 0;
    for (size_t i = 0; i < creation->count; i++)
        created += was_created(creation, i);
    struct writer *writer = call_json(creation->call, created > 0 ? 201 : 200);
    writer_object_begin(writer, NULL);
    writer_array_begin(writer, "created");
    for (size_t i = 0; i < creation->count; i++)
        if (was_created(creation, i))
            write_created(writer, &creation->rows[creation->row_of[i]]);
    writer_array_end(writer);
    writer_array_begin(writer, "skipped");
    for (size_t i = 0; i < creation->count; i++)
        if (!was_created(creation, i))
            write_skipped(writer, creation, i);
    writer_array_end(writer);
    writer_object_end(writer);
}

static bool write_rows(struct creation *creation, size_t from, size_t to, struct error *err)
{
    size_t first = creation->row_count, done;
    make_rows(creation, from, to);
    return migration_create(creation->call->store, &creation->shared, creation->rows + first,
                            creation->row_count - first, on_created, creation,
                            creation->results + first, &done, err);
}

/* The first piece, small: its jobs are placed before the rest is written. */
static bool write_first(struct creation *creation, size_t to, struct error *err)
{
    const struct fault *fault;
    if (!match_piece(creation, 0, to, err))
        return false;
    for (size_t i = 0; i < to; i++)
        if (what_is_wrong(creation, i, &fault) != NULL)
            return match_soundly(creation, 0, creation->count, err);
    creation->is_checked = to == creation->count;
    creation->shared.consent = check_rest;
    creation->shared.consent_context = creation;
    bool written = write_rows(creation, 0, to, err);
    creation->shared.consent = NULL;
    return written &&
           check_rest(creation, err); /* when there was nothing to write, it was not asked */
}

static bool write_more(struct creation *creation, size_t from, size_t to, struct error *err)
{
    bool is_matched = creation->matches[from].found != 0;
    return (is_matched || match_soundly(creation, from, to, err)) &&
           write_rows(creation, from, to, err);
}

static bool write_all(struct creation *creation, struct error *err)
{
    size_t from = creation->count <= SMALL_CALL ? creation->count : FIRST_PIECE;
    creation->first = from;
    begin_check(creation);
    bool written = write_first(creation, from, err);
    end_check(creation);
    if (written && creation->count - from > PIECE) /* else nothing waits for anything */
        clock_sleep_ms(LEAD_MS);
    for (size_t to; written && from < creation->count; from = to) {
        to = creation->count - from < PIECE ? creation->count : from + PIECE;
        if (!write_more(creation, from, to, err))
            return error_prefix(err, "%zu of %zu were stored; ask again for the rest", from,
                                creation->count);
    }
    return written;
}

bool migration_create_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"project", NULL};
    struct creation creation = {.call = call};
    call_query_allow(call, allowed);
    call_query_project(call);
    if (!call_sound(call, err) || !read_creation(&creation, err))
        return false;
    begin_results(&creation);
    if (!write_all(&creation, err))
        return false;
    write_answer(&creation);
    return true;
}
