/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves one machine with the real drivers, in one process and without a scheduler:
 *     move_machine DRIVER SETTINGS KEY ROOT OUT OPTIONS [damage | URL-PREFIX]
 * Prints one JSON object: the vm and the evidence, or the fault; its status is 0 or 1. "damage" changes
 * bytes of the first disk's file after the copy and before the proof. KEY "list" lists.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "migration/destination/fault_list.h"
#include "migration/destination/local.h"
#include "migration/source/drivers.h"
#include "tests/unit/migration/fake_work.h"

struct move {
    struct work *work;
    struct source *source;
    struct destination *destination;
    struct source_export *export;
    struct destination_plan plan;
    const char *out;
    bool damage;
    json_t *result;
};

static bool flushed(void *context, const struct copy_chunk *chunks, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        copy_digests_set(context, &chunks[i]);
    return true;
}

/* Every 64 KiB of the file's later half loses a byte: some of them are data of the guest. */
static void damage(const struct move *move)
{
    char path[600];
    struct stat facts;
    snprintf(path, sizeof(path), "%s/.guts-%s-1/disk0.qcow2", move->out,
             UUID_TEXT(work_owner(move->work)));
    int fd = open(path, O_RDWR);
    if (fd < 0 || fstat(fd, &facts) != 0)
        return;
    for (off_t at = facts.st_size / 2; at < facts.st_size - 1048576; at += 65536) {
        char byte = 0;
        if (pread(fd, &byte, 1, at) == 1 && (byte ^= 0x5a, pwrite(fd, &byte, 1, at)) != 1)
            break;
    }
    close(fd);
}

static bool move_disk(struct move *move, size_t index, struct error *err)
{
    struct disk *from = NULL;
    struct destination_disk to = {0};
    struct copy_control control = {0};
    if (!move->source->driver->export_disk(move->export, index, &from, err))
        return false;
    uint64_t size = disk_size_bytes(from);
    struct copy_digests *digests = copy_digests_new(size);
    bool fine = destination_local.disk_begin(move->destination, &move->plan, index, size, &to, err);
    struct copy_plan plan = {.from = from,
                             .to = to.disk,
                             .to_is_zero = to.reads_as_zero,
                             .control = &control,
                             .flushed = flushed,
                             .context = digests};
    fine = fine && copy_run(&plan, err) && disk_finish(to.disk, err);
    if (fine && move->damage && index == 0)
        damage(move);
    json_t *evidence = json_object();
    fine = fine && destination_local.disk_end(move->destination, &move->plan, index, digests,
                                              &control, evidence, err);
    json_array_append_new(json_object_get(move->result, "disks"), evidence);
    copy_digests_free(digests);
    disk_close(from);
    return fine;
}

static bool check(struct move *move, struct error *err)
{
    struct fault_list *faults = fault_list_new();
    bool fine = destination_local.preflight(move->destination, &move->plan, faults, err);
    if (fine && fault_list_count(faults) > 0) {
        *err = *fault_list_get(faults, 0);
        fine = false;
    }
    fault_list_free(faults);
    return fine;
}

static bool run(struct move *move, const char *key, struct error *err)
{
    struct vm *vm = NULL;
    if (!move->source->driver->describe(move->source, key, work_arena(move->work), &vm, err))
        return false;
    move->plan.vm = vm;
    move->plan.server_name = vm->name;
    json_object_set_new(move->result, "name", json_string(vm->name));
    json_object_set_new(move->result, "obstacle",
                        vm->obstacle_code != NULL ? json_string(vm->obstacle_code) : json_null());
    bool fine = move->source->driver->export_begin(move->source, vm, &move->export, err) &&
                check(move, err);
    for (size_t i = 0; fine && i < vm->disk_count; i++)
        fine = move_disk(move, i, err);
    json_t *server = json_object(), *evidence = json_object();
    fine = fine && move->source->driver->export_check(move->export, err) &&
           destination_local.deploy(move->destination, &move->plan, server, err) &&
           destination_local.verify(move->destination, &move->plan, evidence, err);
    json_object_set_new(move->result, "server", server);
    json_object_set_new(move->result, "evidence", evidence);
    if (move->export != NULL)
        move->source->driver->export_end(move->export);
    return fine;
}

static bool take(void *context, const struct vm *vm, struct error *err)
{
    json_array_append_new(context,
                          json_pack("{s:s, s:s*, s:I}", "key", vm->key, "obstacle",
                                    vm->obstacle_code, "disks", (json_int_t)vm->disk_count));
    return true;
}

static bool list(struct move *move, struct error *err)
{
    json_t *found = json_array();
    json_object_set_new(move->result, "vms", found);
    return move->source->driver->list(move->source, take, found, err);
}

static struct settings *read_settings(const struct setting *declared, size_t count,
                                      const char *text, struct error *err)
{
    struct settings *settings = NULL;
    json_t *values = json_loads(text, 0, NULL);
    bool fine = values != NULL && settings_new(declared, count, values, NULL, &settings, err);
    json_decref(values);
    return fine ? settings : NULL;
}

int main(int argc, char **argv)
{
    if (argc < 7 || argc > 8)
        return 2;
    struct error err = {0};
    const struct source_driver *driver = source_driver_find(argv[1]);
    const char *root = argv[4], *extra = argc == 8 ? argv[7] : "";
    char job[] = "/tmp/guts-move-XXXXXX", out[512];
    struct conf_strings roots_read = {&root, 1}, none = {0};
    struct conf_strings urls = {&extra, strncmp(extra, "http", 4) == 0};
    struct roots *roots = NULL;
    struct move move = {.out = argv[5], .damage = strcmp(extra, "damage") == 0};
    if (driver == NULL || mkdtemp(job) == NULL ||
        !roots_open(&roots_read, &(struct conf_strings){(const char **)&argv[5], 1},
                    urls.count > 0 ? &urls : &none, &roots, &err))
        return 2;
    move.result = json_pack("{s:[]}", "disks");
    move.work = fake_work_new(
        &(struct fake_work){.directory = job, .roots = roots, .attempt = 1, .owner = uuid_new()});
    move.plan.work = move.work;
    snprintf(out, sizeof(out), "{\"path\": \"%s\"}", argv[5]);
    struct settings *settings =
        read_settings(driver->settings, driver->setting_count, argv[2], &err);
    struct settings *place =
        read_settings(destination_local.settings, destination_local.setting_count, out, &err);
    struct settings *options =
        read_settings(destination_local.options, destination_local.option_count, argv[6], &err);
    move.plan.options = options;
    bool fine = settings != NULL && place != NULL && options != NULL &&
                driver->open(move.work, settings, &move.source, &err) &&
                destination_local.open(move.work, place, &move.destination, &err) &&
                (strcmp(argv[3], "list") == 0 ? list(&move, &err) : run(&move, argv[3], &err));
    if (!fine) {
        json_object_set_new(move.result, "fault", json_string(err.fault->code));
        json_object_set_new(move.result, "text", json_string(err.text));
    }
    json_dumpf(move.result, stdout, JSON_INDENT(1));
    puts("");
    json_decref(move.result);
    if (move.destination != NULL)
        destination_local.close(move.destination);
    if (move.source != NULL)
        driver->close(move.source);
    settings_free(settings);
    settings_free(place);
    settings_free(options);
    fake_work_free(move.work);
    roots_free(roots);
    if (!file_remove_tree(job, &err))
        fprintf(stderr, "%s\n", err.text);
    return fine ? 0 : 1;
}
