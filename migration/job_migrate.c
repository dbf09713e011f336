/* SPDX-License-Identifier: Apache-2.0
 *
 * The job that moves a vm. Each step by itself: what it does, what it leaves in the journal.
 */
#include <string.h>

#include "migration/common_options.h"
#include "migration/hex.h"
#include "migration/steps.h"
#include "proto/codec.h"

/* -- describe: look at the vm again, and keep what was seen for the later runs ------------------------ */

static void keep_vm(struct run *run)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(buffer_fini) struct buffer packed = {0};
    CLEANUP(buffer_fini) struct buffer text = {0};
    codec_pack(&codec_vm_to(arena, run->vm)->base, &packed);
    hex_encode(packed.data, packed.length, &text);
    json_object_set_new(run->state, "vm", json_string(text.data));
}

static bool load_vm(struct run *run, const json_t *state, struct error *err)
{
    const char *text = json_string_value(json_object_get(state, "vm"));
    CLEANUP(buffer_fini) struct buffer packed = {0};
    if (!text || !hex_decode(text, &packed))
        return error_set(err, &FAULT_INTERNAL, "the journal holds no vm");
    const Guts__V1__Vm *message = (const Guts__V1__Vm *)codec_unpack(
        &guts__v1__vm__descriptor, packed.data, packed.length, run->arena, err);
    run->vm = arena_alloc(run->arena, sizeof(*run->vm));
    return message && codec_vm(message, run->arena, run->vm, err);
}

static void make_plan(struct run *run)
{
    const char *name = run->assign->server_name;
    run->plan = (struct destination_plan){
        .work = run->work,
        .vm = run->vm,
        .server_name = *name ? name : run->vm->name,
        .options = run->option_settings,
    };
    for (size_t i = 0; i < run->vm->disk_count; i++) {
        struct work_disk disk = {.capacity_bytes = run->vm->disks[i].capacity_bytes};
        work_tell_disk(run->work, i, &disk);
    }
}

static bool describe(struct run *run, struct error *err)
{
    if (!run->assign->vm)
        return error_set(err, &FAULT_MESSAGE_POISON, "a migration without a vm");
    if (!ends_open_source(run, err) ||
        !run->source_driver->describe(run->source, run->assign->vm->key, run->arena, &run->vm,
                                      err) ||
        !vm_check(run->vm, err))
        return false;
    if (run->vm->obstacle_code)
        return error_set(err, fault_get(run->vm->obstacle_code), "%s",
                         run->vm->obstacle_text ? run->vm->obstacle_text : run->vm->name);
    make_plan(run);
    keep_vm(run);
    return true;
}

/* -- preflight: all that would fail, at once ------------------------------------------------------------ */

static bool has_feature(const char *const *features, const char *word)
{
    for (; features && *features; features++) {
        if (strcmp(*features, word) == 0)
            return true;
    }
    return false;
}

static bool wants_stop(const struct run *run)
{
    return json_is_true(json_object_get(run->options, OPTION_STOP_SOURCE));
}

static void check_power(struct run *run)
{
    const struct source_driver *driver = run->source_driver;
    if (run->vm->power == VM_POWER_SUSPENDED)
        fault_list_add(run->faults, &FAULT_VM_SUSPENDED, "\"%s\" is suspended", run->vm->name);
    if (run->vm->power != VM_POWER_ON || has_feature(driver->features, "live"))
        return;
    if (!wants_stop(run) || !driver->stop)
        fault_list_add(run->faults, &FAULT_VM_RUNNING, "\"%s\" is running", run->vm->name);
}

/* A driver that stages must not find out in mid-copy that placement did not reserve for it. */
static void check_space(struct run *run)
{
    const struct source_driver *source = run->source_driver;
    const struct destination_driver *destination = run->destination_driver;
    uint64_t needed = 0;
    if (source->staging_bytes)
        needed += source->staging_bytes(run->source_settings, run->vm);
    if (destination->staging_bytes)
        needed +=
            destination->staging_bytes(run->destination_settings, run->option_settings, run->vm);
    if (needed > run->assign->reserved_bytes)
        fault_list_add(run->faults, &FAULT_NO_SPACE,
                       "%llu bytes of conversion space are needed and %llu reserved",
                       (unsigned long long)needed, (unsigned long long)run->assign->reserved_bytes);
}

static bool preflight(struct run *run, struct error *err)
{
    if (!ends_open_source(run, err))
        return false;
    check_power(run);
    check_space(run);
    if (!run->destination_driver->preflight(run->destination, &run->plan, run->faults, err))
        return false;
    size_t count = fault_list_count(run->faults);
    if (count == 0)
        return true;
    const struct error *first = fault_list_get(run->faults, 0);
    if (count == 1)
        return error_set(err, first->fault, "%s", first->text);
    return error_set(err, &FAULT_PREFLIGHT_FAILED, "%zu things would fail, the first: %s", count,
                     first->text);
}

/* -- sweep, stop, export, check --------------------------------------------------------------------------- */

static bool sweep_is_wanted(const struct run *run)
{
    return run->destination_driver->sweep && run->assign->token.attempt > 1;
}

static bool sweep(struct run *run, struct error *err)
{
    return run->destination_driver->sweep(run->destination, &run->plan, err);
}

static bool stop_is_wanted(const struct run *run)
{
    return wants_stop(run) && run->vm->power == VM_POWER_ON;
}

static bool stop(struct run *run, struct error *err)
{
    if (!ends_open_source(run, err) || !run->source_driver->stop(run->source, run->vm, err))
        return false;
    run->vm->power = VM_POWER_OFF;
    return true;
}

static bool begin_session(struct run *run, struct error *err)
{
    if (run->session)
        run->source_driver->export_end(run->session);
    run->session = NULL;
    return ends_open_source(run, err) &&
           run->source_driver->export_begin(run->source, run->vm, &run->session, err);
}

/* What an earlier run has copied is of the source as it was then: a disk that is done is not looked at
 * again, so that this is the one place to notice. */
static bool export(struct run *run, struct error *err)
{
    bool same;
    if (!begin_session(run, err) || !copy_knows_source(run, &same, err))
        return false;
    if (same)
        return true;
    work_note(run->work, "the source changed since an earlier run read it: copying again");
    return copy_forget(run, err) && begin_session(run, err) && copy_knows_source(run, &same, err);
}

static bool check(struct run *run, struct error *err)
{
    if (!run->source_driver->export_check(run->session, err))
        return false;
    run->source_driver->export_end(run->session);
    run->session = NULL;
    return true;
}

/* -- deploy, verify --------------------------------------------------------------------------------------- */

static bool deploy(struct run *run, struct error *err)
{
    json_t *server = json_object();
    bool good = run->destination_driver->deploy(run->destination, &run->plan, server, err);
    if (good)
        json_object_set(run->state, "server", server);
    json_decref(server);
    return good;
}

static bool verify(struct run *run, struct error *err)
{
    json_t *proof = json_object();
    bool good = run->destination_driver->verify(run->destination, &run->plan, proof, err);
    if (good)
        json_object_set(run->state, "proof", proof);
    json_decref(proof);
    return good;
}

static const struct step steps[] = {
    {"describe", describe, UNDO_NOTHING, MIGRATION_UNKNOWN, NULL, NULL},
    {"preflight", preflight, UNDO_NOTHING, MIGRATION_DISCOVERED, NULL, NULL},
    {"sweep", sweep, UNDO_NOTHING, MIGRATION_UNKNOWN, NULL, sweep_is_wanted},
    {"stop", stop, UNDO_LEDGER, MIGRATION_UNKNOWN, NULL, stop_is_wanted},
    {"export", export, UNDO_LEDGER, MIGRATION_UNKNOWN, "check", NULL},
    {"copy", copy_disks, UNDO_LEDGER, MIGRATION_UNKNOWN, NULL, NULL},
    {"check", check, UNDO_NOTHING, MIGRATION_UNKNOWN, NULL, NULL},
    /* Once more: what a former attempt did late, while this one copied. */
    {"settle", sweep, UNDO_NOTHING, MIGRATION_UNKNOWN, NULL, sweep_is_wanted},
    {"deploy", deploy, UNDO_LEDGER, MIGRATION_DEPLOYED, NULL, NULL},
    {"verify", verify, UNDO_NOTHING, MIGRATION_VERIFIED, NULL, NULL},
};
#define DRY_STEPS 2

static void answer_dry_run(struct run *run)
{
    json_t *names = json_array();
    for (size_t i = DRY_STEPS; i < COUNT_OF(steps); i++) {
        if (!steps[i].wanted || steps[i].wanted(run))
            json_array_append_new(names, json_string(steps[i].name));
    }
    run->answer = json_pack("{s:o}", "steps", names);
}

/* One disk's part of the evidence: what was read and written, and how the other end proved it. */
static void gather_disk(const json_t *state, json_t *content, json_t *transport)
{
    json_t *disk = json_object();
    json_t *proof = json_deep_copy(json_object_get(state, "evidence"));
    static const char *const names[] = {"number", "digest", "bytes_read", "bytes_written"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        json_object_set(disk, names[i], json_object_get(state, names[i]));
    json_array_append_new(content, disk);
    if (proof)
        json_object_set(proof, "number", json_object_get(state, "number"));
    json_array_append_new(transport, proof ? proof : json_null());
}

static json_int_t sum(const json_t *disks, const char *name)
{
    json_int_t total = 0;
    for (size_t i = 0; i < json_array_size(disks); i++)
        total += json_integer_value(json_object_get(json_array_get(disks, i), name));
    return total;
}

/* What the steps of all runs have proven, in one object. */
static void gather_evidence(struct run *run)
{
    json_t *content = json_array(), *transport = json_array();
    for (size_t i = 0; i < run->vm->disk_count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "disk %zu", i);
        gather_disk(progress_step(run->progress, name), content, transport);
    }
    run->evidence =
        json_pack("{s:o, s:{s:s, s:I, s:I, s:I, s:o}}", "transport", transport, "content",
                  "algorithm", "xxh3-128-tree", "bytes_read", sum(content, "bytes_read"),
                  "bytes_written", sum(content, "bytes_written"), "resumes",
                  (json_int_t)work_resumes(run->work), "disks", content);
    json_object_update_missing(run->evidence,
                               json_object_get(progress_step(run->progress, "verify"), "proof"));
    if (!json_object_get(run->evidence, "boot"))
        json_object_set_new(run->evidence, "boot", json_null());
    run->server = json_incref(json_object_get(progress_step(run->progress, "deploy"), "server"));
}

static void recall_resumes(struct run *run)
{
    json_int_t count =
        json_integer_value(json_object_get(progress_step(run->progress, "resumes"), "count"));
    for (json_int_t i = 0; i < count; i++)
        work_count_resume(run->work);
}

bool job_migrate(struct run *run, struct error *err)
{
    recall_resumes(run);
    if (!ends_open_destination(run, err) || !ends_take_options(run, err))
        return false;
    const json_t *described = progress_step(run->progress, "describe");
    if (described) {
        if (!load_vm(run, described, err))
            return false;
        if (progress_step(run->progress, "stop"))
            run->vm->power = VM_POWER_OFF;
        make_plan(run);
        run->source_driver = source_driver_find(run->assign->source.driver);
    }
    work_take_way(run->work,
                  run->destination_driver->converts ? MIGRATION_CONVERTING : MIGRATION_UPLOADING);
    if (!steps_run(run, steps, run->assign->dry_run ? DRY_STEPS : COUNT_OF(steps), err))
        return false;
    if (run->assign->dry_run)
        answer_dry_run(run);
    else
        gather_evidence(run);
    return true;
}
