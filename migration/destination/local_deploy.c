/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "migration/destination/boot_check.h"
#include "migration/destination/domain_xml.h"
#include "migration/destination/local_inner.h"
#include "proto/fault.h"

#define DOMAIN_FILE "domain.xml"

static void buffer_finip(struct buffer *buffer)
{
    buffer_fini(buffer);
}

static void write_xml(const struct local *self, const struct destination_plan *plan,
                      const struct local_options *options, const char *server,
                      struct buffer *ret_xml)
{
    const char *paths[VM_DISKS_MOST];
    for (size_t i = 0; i < plan->vm->disk_count; i++) {
        char name[PLACE_NAME_SIZE];
        local_disk_name(i, options->format, name);
        paths[i] = arena_printf(work_arena(self->work), "%s/%s/%s", self->path, server, name);
    }
    struct domain_plan domain = {
        .vm = plan->vm,
        .name = server,
        .migration = work_owner(self->work),
        .disk_paths = paths,
        .disk_format = options->format,
        .virtio_disks = options->virtio_disks,
        .virtio_nics = options->virtio_nics,
        .network = options->network,
        .bridge = options->bridge,
    };
    domain_xml_write(&domain, ret_xml);
}

/* The domain is written where only this attempt works; then all gets its name at once. */
static bool put_xml(struct local *self, const struct buffer *xml, struct error *err)
{
    struct place_mark mark = local_mark(self);
    char name[PLACE_NAME_SIZE], path[PLACE_NAME_SIZE + 96];
    place_attempt_name(&mark, name);
    if (!place_exists(self->root_fd, name))
        return true; /* deployed by an earlier run: place_deploy judges */
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s/" DOMAIN_FILE, self->root_fd, name);
    return file_replace(path, 0644, xml->data, xml->length, err);
}

bool local_deploy(struct destination *destination, const struct destination_plan *plan,
                  json_t *server, struct error *err)
{
    struct local *self = (struct local *)destination;
    struct place_mark mark = local_mark(self);
    struct local_options options;
    const struct ledger_entry *stored = NULL;
    CLEANUP(buffer_finip) struct buffer xml = {0};
    char name[PLACE_NAME_SIZE];
    place_server_name(plan->server_name, name);
    struct ledger_entry entry = {
        .end = END_DESTINATION, .kind = "domain", .key = name, .prior_json = ""};
    if (!local_options_read(plan->options, &options, err) ||
        !work_intend(self->work, &entry, &stored, err))
        return false;
    write_xml(self, plan, &options, name, &xml);
    if (!work_fence(self->work, err) || !put_xml(self, &xml, err) ||
        !place_deploy(self->root_fd, &mark, name, err))
        return false;
    const char *path = arena_printf(work_arena(self->work), "%s/%s", self->path, name);
    json_object_set_new(server, "name", json_string(name));
    json_object_set_new(server, "directory", json_string(path));
    json_object_set_new(server, "domain",
                        json_string(arena_printf(work_arena(self->work), "%s/" DOMAIN_FILE, path)));
    return work_made(self->work, stored, path, err);
}

static bool go_on(void *context, struct error *err)
{
    return work_go_on(context, err);
}

static bool open_disks(int directory_fd, const struct destination_plan *plan, const char *format,
                       int *fds, struct error *err)
{
    for (size_t i = 0; i < plan->vm->disk_count; i++) {
        char name[PLACE_NAME_SIZE];
        local_disk_name(i, format, name);
        fds[i] = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fds[i] < 0)
            return error_set_errno(err, errno, "cannot open \"%s\"", name);
    }
    return true;
}

static bool boot(struct local *self, const struct destination_plan *plan,
                 const struct local_options *options, const int *fds, json_t *evidence,
                 struct error *err)
{
    struct boot_result result;
    struct boot_plan boot_plan = {
        .vm = plan->vm,
        .disk_fds = fds,
        .disk_format = options->format,
        .virtio_disks = options->virtio_disks,
        .text = options->boot_text,
        .accelerator = options->boot_accelerator,
        .timeout_ms = (uint64_t)options->boot_timeout_s * 1000,
        .directory = work_directory(self->work),
        .go_on = go_on,
        .context = self->work,
    };
    if (!boot_check(&boot_plan, &result, err))
        return false;
    json_object_set_new(evidence, "boot",
                        json_pack("{s:s, s:s, s:I}", "text", options->boot_text, "accelerator",
                                  result.accelerator, "duration_ms",
                                  (json_int_t)result.duration_ms));
    return true;
}

bool local_verify(struct destination *destination, const struct destination_plan *plan,
                  json_t *evidence, struct error *err)
{
    struct local *self = (struct local *)destination;
    struct local_options options;
    CLEANUP(fd_closep) int directory = -1;
    int fds[VM_DISKS_MOST];
    char name[PLACE_NAME_SIZE];
    struct place_mark mark;
    place_server_name(plan->server_name, name);
    for (size_t i = 0; i < VM_DISKS_MOST; i++)
        fds[i] = -1;
    if (!local_options_read(plan->options, &options, err))
        return false;
    if (!place_read_mark(self->root_fd, name, &mark) ||
        !uuid_equal(&mark.migration, work_owner(self->work)))
        return error_set(err, &FAULT_NOT_FOUND, "\"%s\" is not (or no longer) this migration's",
                         name);
    if (mark.attempt != work_token(self->work)->attempt)
        return error_set(err, &FAULT_FENCED, "\"%s\" is of attempt %u", name, mark.attempt);
    if (!place_open(self->root_fd, name, &directory, err))
        return false;
    bool fine = open_disks(directory, plan, options.format, fds, err) &&
                (!options.verify_boot || boot(self, plan, &options, fds, evidence, err));
    for (size_t i = 0; i < plan->vm->disk_count; i++)
        fd_closep(&fds[i]);
    return fine;
}

/* "domain" is the server's directory with all in it; "directory" that of an attempt, which is gone when
 * it became the server; a "disk" lies in one of them: in the server's it went with the domain. */
bool local_undo(struct destination *destination, const struct ledger_entry *entry,
                enum ledger_state *ret_state, struct error *err)
{
    struct local *self = (struct local *)destination;
    const struct uuid *migration = work_owner(self->work);
    bool found = false, done = false;
    if (strchr(entry->key, '/') != NULL || entry->key[0] == '\0' || strcmp(entry->key, ".") == 0 ||
        strcmp(entry->key, "..") == 0)
        return error_set(err, &FAULT_INVALID, "the ledger's key \"%.60s\" is no name", entry->key);
    if (strcmp(entry->kind, "domain") == 0 || strcmp(entry->kind, "directory") == 0)
        done = place_remove(self->root_fd, entry->key, migration, &found, err);
    else if (strcmp(entry->kind, "disk") == 0)
        done = place_remove_disk(self->root_fd, entry->key, migration, &found, err);
    else
        error_set(err, &FAULT_UNSUPPORTED, "the ledger names a \"%.40s\", which is none of ours",
                  entry->kind);
    if (done)
        *ret_state = found ? LEDGER_UNDONE : LEDGER_NOT_FOUND;
    return done;
}

bool local_settle(struct destination *destination, size_t *ret_removed, struct error *err)
{
    struct local *self = (struct local *)destination;
    return place_remove_all(self->root_fd, work_owner(self->work), ret_removed, err);
}

bool local_accept(struct destination *destination, const struct ledger_entry *entry,
                  enum ledger_state *ret_state, struct error *err)
{
    struct local *self = (struct local *)destination;
    if (strcmp(entry->kind, "directory") == 0)
        return local_undo(destination, entry, ret_state, err);
    if (strcmp(entry->kind, "domain") == 0 && strchr(entry->key, '/') == NULL &&
        !place_unmark(self->root_fd, entry->key, work_owner(self->work), err))
        return false;
    *ret_state = LEDGER_KEPT;
    return true;
}
