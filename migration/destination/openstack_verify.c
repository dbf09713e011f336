/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the machine runs as it was meant: the server is ACTIVE, its volumes are in use by it and by no
 * other, its ports are bound; where asked, what its console says.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "migration/destination/openstack_inner.h"

#define JOINED_MOST_MS (120u * 1000) /* from ACTIVE to "in-use" and bound */
#define PORT_UP_MOST_MS (30u * 1000) /* from ACTIVE to a port that is up */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* One look at a port or volume; *ret_facts, what the cloud says of it, is NULL while it may still become what it
 * should. */
typedef bool look(struct openstack *self, const char *id, const char *server_id, uint64_t waited_ms,
                  json_t **ret_facts, struct error *err);

/* Cinder keeps of which image it made a volume, and that image's checksum. */
static json_t *volume_facts(const json_t *volume, const char *id)
{
    const json_t *origin = json_object_get(volume, "volume_image_metadata");
    json_t *facts = json_pack("{s:s, s:s, s:s, s:b}", "id", id, "status", text_of(volume, "status"),
                              "type", text_of(volume, "volume_type"), "bootable",
                              strcmp(text_of(volume, "bootable"), "true") == 0);
    json_object_set(facts, "size_gib", json_object_get(volume, "size"));
    json_object_set(facts, "image", json_object_get(origin, "image_id"));
    json_object_set(facts, "image_md5", json_object_get(origin, "checksum"));
    return facts;
}

static json_t *port_facts(const json_t *port, const char *id)
{
    json_t *facts = json_pack("{s:s, s:s, s:s}", "id", id, "status", text_of(port, "status"), "mac",
                              text_of(port, "mac_address"));
    json_object_set(facts, "network", json_object_get(port, "network_id"));
    json_object_set(facts, "addresses", json_object_get(port, "fixed_ips"));
    return facts;
}

static bool look_at_volume(struct openstack *self, const char *id, const char *server_id,
                           uint64_t waited_ms, json_t **ret_facts, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/volumes/%s", id);
    json_t *volume = NULL;
    if (!openstack_get(self->session, "volume", path, NULL, "volume", &volume, err))
        return false;
    const json_t *attachments = json_object_get(volume, "attachments");
    const char *holder = text_of(json_array_get(attachments, 0), "server_id");
    bool used = strcmp(text_of(volume, "status"), "in-use") == 0;
    bool joined = used && strcmp(holder, server_id) == 0;
    if (joined)
        *ret_facts = volume_facts(volume, id);
    bool good = !used || joined ||
                error_set(err, &FAULT_SERVER_FAILED, "volume %s is in use by %s", id, holder);
    json_decref(volume);
    return good;
}

/* How it is bound is told to administrators only. To others a server that is ACTIVE says that its ports were:
 * Nova refuses to build one over a port that cannot be bound. Whether the network has plugged it is in its
 * status; drivers without an agent to tell leave that at DOWN, which is borne with after a while, and told. */
static bool look_at_port(struct openstack *self, const char *id, const char *server_id,
                         uint64_t waited_ms, json_t **ret_facts, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/ports/%s", id);
    json_t *port = NULL;
    if (!openstack_get(self->session, "network", path, NULL, "port", &port, err))
        return false;
    const char *type = text_of(port, "binding:vif_type"), *status = text_of(port, "status");
    bool joined =
        strcmp(text_of(port, "device_id"), server_id) == 0 && strcmp(type, "unbound") != 0;
    bool up = strcmp(status, "ACTIVE") == 0, waits = waited_ms < PORT_UP_MOST_MS;
    bool good = strcmp(type, "binding_failed") != 0 && strcmp(status, "ERROR") != 0;
    if (good && joined && (up || !waits))
        *ret_facts = port_facts(port, id);
    if (!good)
        error_set(err, &FAULT_SERVER_FAILED, "port %s cannot be bound (status \"%s\")", id, status);
    else if (joined && !up && !waits)
        work_note(self->work, "port %s is bound and not up: its status is \"%s\"", id, status);
    json_decref(port);
    return good;
}

static bool await(struct openstack *self, const char *id, const char *server_id, look *at,
                  json_t *ret_list, struct error *err)
{
    uint64_t from_ms = clock_mono_ms(), waited_ms = 0;
    struct openstack_pace pace;
    openstack_pace_begin(&pace);
    do {
        json_t *facts = NULL;
        if (!at(self, id, server_id, waited_ms, &facts, err))
            return false;
        if (facts != NULL)
            return json_array_append_new(ret_list, facts) == 0;
        if (!openstack_pace_wait(self, &pace, err))
            return false;
        waited_ms = clock_mono_ms() - from_ms;
    } while (waited_ms < JOINED_MOST_MS);
    return error_set(err, &FAULT_SERVER_FAILED, "%s is not joined to server %s", id, server_id);
}

/* By the ledger: what this attempt made of one kind. */
static bool await_all(struct openstack *self, const char *kind, const char *server_id, look *at,
                      json_t *ret_list, struct error *err)
{
    struct openstack_key key;
    for (size_t i = 0; i < work_ledger_count(self->work); i++) {
        const struct ledger_entry *entry = work_ledger_get(self->work, i);
        if (entry->end != END_DESTINATION || strcmp(entry->kind, kind) != 0 ||
            entry->state != LEDGER_MADE || !openstack_key_parse(entry->key, &key) ||
            key.attempt != work_token(self->work)->attempt)
            continue;
        if (!await(self, entry->external_id, server_id, at, ret_list, err))
            return error_prefix(err, "%s \"%s\"", kind, entry->key);
    }
    return true;
}

/* -- the console --------------------------------------------------------------------------------------- */

static bool console(struct openstack *self, const char *server_id, json_t **ret_text,
                    struct error *err)
{
    CLEANUP(openstack_reply_fini) struct openstack_reply reply = {0};
    CLEANUP(xfreep) char *path = xasprintf("/servers/%s/action", server_id);
    json_t *body = json_pack("{s:{}}", "os-getConsoleOutput");
    struct openstack_call call = {
        .method = "POST", .service = "compute", .path = path, .body = body};
    bool good = openstack_call(self->session, &call, &reply, err);
    json_decref(body);
    if (!good && err->fault != &FAULT_CONFLICT && err->fault != &FAULT_UNCERTAIN &&
        err->fault != &FAULT_NOT_FOUND)
        return false;
    *ret_text = json_incref(json_object_get(reply.json, "output")); /* none yet: NULL */
    return true;
}

static void keep_tail(json_t *evidence, const char *wanted, const char *text, uint64_t took_ms)
{
    size_t length = strlen(text), most = 2000;
    const char *tail = text + (length > most ? length - most : 0);
    while ((*tail & 0xc0) == 0x80)
        tail++;
    json_object_set_new(evidence, "boot",
                        json_pack("{s:s, s:I, s:s}", "text", wanted, "duration_ms",
                                  (json_int_t)took_ms, "console", tail));
}

static bool await_boot(struct openstack *self, const char *server_id, json_t *evidence,
                       struct error *err)
{
    uint64_t from_ms = clock_mono_ms(), most_ms = self->options.boot_timeout_s * 1000;
    const char *wanted = self->options.boot_text;
    while (clock_mono_ms() - from_ms < most_ms) {
        json_t *output = NULL;
        if (!console(self, server_id, &output, err))
            return false;
        const char *text = json_string_value(output);
        bool seen = text != NULL && strstr(text, wanted) != NULL;
        if (seen)
            keep_tail(evidence, wanted, text, clock_mono_ms() - from_ms);
        json_decref(output);
        if (seen)
            return true;
        if (!work_wait_ms(self->work, 2000, err))
            return false;
    }
    return error_set(err, &FAULT_BOOT_FAILED, "\"%s\" did not come on the console within %llu s",
                     wanted, (unsigned long long)self->options.boot_timeout_s);
}

/* -- images that served only the move ------------------------------------------------------------------- */

static bool drop_images(struct openstack *self, const struct destination_plan *plan,
                        struct error *err)
{
    bool found;
    if (self->options.keep_image)
        return true;
    for (size_t i = self->options.boot_from_volume ? 0 : 1; i < plan->vm->disk_count; i++) {
        const struct ledger_entry *entry = openstack_image_entry(self, i);
        if (entry == NULL)
            continue;
        if (!work_fence(self->work, err) ||
            !openstack_image_delete(self, entry->external_id, &found, err) ||
            !work_settle(self->work, entry, found ? LEDGER_UNDONE : LEDGER_NOT_FOUND,
                         "served only the move", err))
            return error_prefix(err, "image %s", entry->external_id);
    }
    return true;
}

bool openstack_verify(struct destination *destination, const struct destination_plan *plan,
                      json_t *evidence, struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    char key[OPENSTACK_KEY_SIZE];
    json_t *server = NULL;
    if (!openstack_want(self, plan, err))
        return false;
    openstack_key_of(self, "server", key);
    const struct ledger_entry *entry = work_ledger_find(self->work, END_DESTINATION, "server", key);
    if (entry == NULL || entry->state != LEDGER_MADE)
        return error_set(err, &FAULT_NOT_FOUND, "this attempt has no server");
    if (!openstack_server_wait(self, entry->external_id, self->options.active_timeout_s * 1000,
                               &server, err))
        return false;
    json_t *proof = json_pack("{s:s, s:s}", "id", entry->external_id, "status", "ACTIVE");
    json_t *volumes = json_array(), *ports = json_array();
    json_object_set(proof, "addresses", json_object_get(server, "addresses"));
    json_object_set_new(proof, "volumes", volumes);
    json_object_set_new(proof, "ports", ports);
    json_object_set_new(evidence, "server", proof);
    json_decref(server);
    return await_all(self, "volume", entry->external_id, look_at_volume, volumes, err) &&
           await_all(self, "port", entry->external_id, look_at_port, ports, err) &&
           (!self->options.verify_boot || await_boot(self, entry->external_id, evidence, err)) &&
           drop_images(self, plan, err);
}
