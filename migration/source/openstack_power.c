/* SPDX-License-Identifier: Apache-2.0
 *
 * A server is stopped, and started again when the migration is taken back. Whoever stops it leaves its id in the
 * server's metadata first: what comes late is known by it, and what another migration stopped is not.
 */
#include <string.h>

#include "migration/source/openstack_inner.h"
#include "proto/fault.h"

#define STOP_TIMEOUT_MS 600000u
#define START_TIMEOUT_MS 300000u
#define BUSY_TIMEOUT_MS 1800000u /* an image of a large disk takes its time */
#define BUSY_POLL_MS 3000u
#define POLL_MS 1000u

static const char *server_path(struct openstack_source *self, const char *id, const char *rest)
{
    struct arena *arena = work_arena(self->work);
    return arena_printf(arena, "/servers/%s%s", openstack_escape(arena, id), rest);
}

static bool post(struct openstack_source *self, const char *id, const char *rest, json_t *body,
                 struct error *err)
{
    struct openstack_call call = {.method = "POST",
                                  .service = "compute",
                                  .path = server_path(self, id, rest),
                                  .microversion = SOURCE_COMPUTE_VERSION,
                                  .body = body};
    bool good = openstack_call(self->session, &call, NULL, err);
    json_decref(body);
    return good;
}

/* Whose mark a server carries. */
enum stopped_by { BY_NOBODY, BY_US, BY_ANOTHER };

static bool read_status(struct openstack_source *self, const char *id, char ret_status[32],
                        enum stopped_by *ret_by, struct error *err)
{
    json_t *server;
    if (!openstack_source_server(self, id, &server, err))
        return false;
    const char *status = json_string_value(json_object_get(server, "status"));
    const char *by =
        json_string_value(json_object_get(json_object_get(server, "metadata"), POWER_KEY));
    snprintf(ret_status, 32, "%s", status != NULL ? status : "");
    *ret_by = by == NULL || by[0] == '\0'                          ? BY_NOBODY
              : strcmp(by, UUID_TEXT(work_owner(self->work))) == 0 ? BY_US
                                                                   : BY_ANOTHER;
    json_decref(server);
    return true;
}

static bool wait_for(struct openstack_source *self, const char *id, const char *wanted,
                     uint64_t timeout_ms, struct error *err)
{
    char status[32] = "";
    enum stopped_by by;
    for (uint64_t waited = 0; waited <= timeout_ms; waited += POLL_MS) {
        if (!read_status(self, id, status, &by, err))
            return false;
        if (strcmp(status, wanted) == 0)
            return true;
        if (strcmp(status, "ERROR") == 0)
            break;
        if (!work_wait_ms(self->work, POLL_MS, err))
            return false;
    }
    return error_set(err, &FAULT_TIMEOUT, "server %s is %s, and not %s", id, status, wanted);
}

/* A conflict says that it stands so already, or is busy with something else (an image of it is made): then it is
 * asked again; or that somebody locked the server. */
static bool ask(struct openstack_source *self, const char *id, const char *action,
                const char *wanted, bool *ret_asked, struct error *err)
{
    char status[32];
    enum stopped_by by;
    *ret_asked = true;
    if (post(self, id, "/action", json_pack("{s:n}", action), err) ||
        err->fault == &FAULT_UNCERTAIN)
        return true;
    if (err->fault != &FAULT_CONFLICT)
        return false;
    if (strstr(err->text, "locked") != NULL) {
        err->fault = &FAULT_VM_LOCKED;
        return false;
    }
    struct error why = *err;
    if (!read_status(self, id, status, &by, err))
        return false;
    *err = why;
    *ret_asked = strcmp(status, wanted) == 0;
    /* Nothing waits for one that is paused, or broken. */
    return *ret_asked || strcmp(status, "ACTIVE") == 0 || strcmp(status, "SHUTOFF") == 0;
}

static bool act(struct openstack_source *self, const char *id, const char *action,
                const char *wanted, struct error *err)
{
    bool asked = false;
    for (uint64_t waited = 0; waited <= BUSY_TIMEOUT_MS; waited += BUSY_POLL_MS) {
        if (!ask(self, id, action, wanted, &asked, err))
            return false;
        if (asked)
            return true;
        struct error why = *err;
        if (!work_wait_ms(self->work, BUSY_POLL_MS, err) || !work_fence(self->work, err))
            return false;
        *err = why;
    }
    err->fault = &FAULT_TIMEOUT;
    return false;
}

bool openstack_source_stop(struct source *source, const struct vm *vm, struct error *err)
{
    struct openstack_source *self = (struct openstack_source *)source;
    struct ledger_entry entry = {
        .end = END_SOURCE, .kind = "power", .key = vm->key, .prior_json = "{\"power\":\"on\"}"};
    const struct ledger_entry *stored;
    json_t *mark = json_pack("{s:{s:s}}", "metadata", POWER_KEY, UUID_TEXT(work_owner(self->work)));
    if (!work_intend(self->work, &entry, &stored, err) || !work_fence(self->work, err)) {
        json_decref(mark);
        return false;
    }
    return post(self, vm->key, "/metadata", mark, err) && work_fence(self->work, err) &&
           act(self, vm->key, "os-stop", "SHUTOFF", err) &&
           wait_for(self, vm->key, "SHUTOFF", STOP_TIMEOUT_MS, err) &&
           work_made(self->work, stored, "off", err);
}

static bool drop_mark(struct openstack_source *self, const char *id, struct error *err)
{
    struct openstack_call call = {.method = "DELETE",
                                  .service = "compute",
                                  .path = server_path(self, id, "/metadata/" POWER_KEY),
                                  .microversion = SOURCE_COMPUTE_VERSION};
    return openstack_call(self->session, &call, NULL, err) || err->fault == &FAULT_NOT_FOUND;
}

static bool was_on(const struct ledger_entry *entry)
{
    json_t *prior = json_loads(entry->prior_json != NULL ? entry->prior_json : "", 0, NULL);
    const char *power = json_string_value(json_object_get(prior, "power"));
    bool on = power != NULL && strcmp(power, "on") == 0;
    json_decref(prior);
    return on;
}

static bool start(struct openstack_source *self, const char *id, struct error *err)
{
    return work_fence(self->work, err) && act(self, id, "os-start", "ACTIVE", err) &&
           wait_for(self, id, "ACTIVE", START_TIMEOUT_MS, err);
}

/* A stop that is still under way has the mark already: it is waited for, so that the start comes last. */
static bool await_stop(struct openstack_source *self, const char *id, struct error *err)
{
    struct error ignored;
    return wait_for(self, id, "SHUTOFF", 5 * POLL_MS, &ignored) || work_go_on(self->work, err);
}

/* The mark comes before the stop, so that one which was only intended and has none never came. Where it did,
 * somebody may have cleared the metadata since: as long as this migration is open no other one stops it. */
static bool is_ours(const struct ledger_entry *entry, enum stopped_by by)
{
    return by == BY_US || (by == BY_NOBODY && entry->state != LEDGER_INTENDED);
}

bool openstack_power_undo(struct openstack_source *self, const struct ledger_entry *entry,
                          enum ledger_state *ret_state, struct error *err)
{
    char status[32];
    enum stopped_by by;
    if (!read_status(self, entry->key, status, &by, err)) {
        *ret_state = LEDGER_NOT_FOUND;
        return err->fault == &FAULT_NOT_FOUND;
    }
    if (by == BY_US && was_on(entry) && strcmp(status, "ACTIVE") == 0 &&
        (!await_stop(self, entry->key, err) || !read_status(self, entry->key, status, &by, err)))
        return false;
    if (is_ours(entry, by) && was_on(entry) && strcmp(status, "ACTIVE") != 0 &&
        !start(self, entry->key, err))
        return false;
    *ret_state = LEDGER_UNDONE;
    return by != BY_US || (work_fence(self->work, err) && drop_mark(self, entry->key, err));
}

bool openstack_power_settle(struct openstack_source *self, const struct ledger_entry *entry,
                            bool *ret_mended, struct error *err)
{
    char status[32];
    enum stopped_by by = BY_NOBODY;
    enum ledger_state state;
    *ret_mended = false;
    if (!read_status(self, entry->key, status, &by, err))
        return err->fault == &FAULT_NOT_FOUND;
    *ret_mended = by == BY_US;
    return by != BY_US || openstack_power_undo(self, entry, &state, err);
}

bool openstack_power_accept(struct openstack_source *self, const struct ledger_entry *entry,
                            enum ledger_state *ret_state, struct error *err)
{
    *ret_state = LEDGER_KEPT;
    return drop_mark(self, entry->key, err);
}
