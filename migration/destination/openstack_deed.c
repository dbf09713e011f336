/* SPDX-License-Identifier: Apache-2.0
 *
 * One deed and its entry of the ledger: what was made already is found and used, what is made passes the
 * fence, what nobody answered for is looked for before it is made again.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"
#include "migration/destination/openstack_inner.h"

#define TRIES_MOST 3u
#define TEXT_MOST 255 /* of a name or a value, in all services */

/* -- keys -------------------------------------------------------------------------------------------- */

bool openstack_key_parse(const char *text, struct openstack_key *ret_key)
{
    struct openstack_key key = {.place = ""};
    int end = 0;
    if (sscanf(text, "%31[a-z0-9]/%9u/%9u%n", key.place, &key.attempt, &key.round, &end) < 3 ||
        text[end] != '\0') {
        key.round = 0;
        end = 0;
        if (sscanf(text, "%31[a-z0-9]/%9u%n", key.place, &key.attempt, &end) < 2 ||
            text[end] != '\0')
            return false;
    }
    *ret_key = key;
    return true;
}

void openstack_key_format(const struct openstack_key *key, char ret_text[OPENSTACK_KEY_SIZE])
{
    snprintf(ret_text, OPENSTACK_KEY_SIZE, "%s/%u/%u", key->place, key->attempt, key->round);
}

void openstack_key_of(const struct openstack *self, const char *place,
                      char ret_text[OPENSTACK_KEY_SIZE])
{
    snprintf(ret_text, OPENSTACK_KEY_SIZE, "%s/%u", place, work_token(self->work)->attempt);
}

void openstack_image_id(const struct uuid *migration, const char *key, char ret_id[UUID_TEXT_SIZE])
{
    struct uuid id = uuid_derive(migration, key);
    uuid_format(&id, ret_id);
}

const char *openstack_name(const struct openstack *self, const struct destination_plan *plan,
                           const char *place)
{
    const char *name = plan->server_name;
    size_t length = utf8_cut(name, strlen(name), TEXT_MOST - 1 - strlen(place));
    return openstack_text(self, "%.*s-%s", (int)length, name, place);
}

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0')
        json_object_set_new(object, name,
                            json_stringn(text, utf8_cut(text, strlen(text), TEXT_MOST)));
}

json_t *openstack_mark_new(const struct openstack *self, const struct destination_plan *plan,
                           const char *key)
{
    json_t *mark = json_object();
    char attempt[16];
    snprintf(attempt, sizeof(attempt), "%u", work_token(self->work)->attempt);
    put_text(mark, "guts_migration", UUID_TEXT(work_owner(self->work)));
    put_text(mark, "guts_attempt", attempt);
    put_text(mark, "guts_key", key);
    put_text(mark, "guts_source_key", plan->vm->key);
    put_text(mark, "guts_source_name", plan->vm->name);
    put_text(mark, "guts_source_uuid", plan->vm->uuid);
    return mark;
}

/* -- deeds --------------------------------------------------------------------------------------------- */

static bool find_made(struct openstack *self, const struct openstack_deed *deed,
                      const struct ledger_entry *stored, const char **ret_id, struct error *err)
{
    bool exists = false;
    *ret_id = "";
    if (stored->state == LEDGER_MADE && stored->external_id[0] != '\0') {
        if (!deed->exists(self, stored->external_id, &exists, err))
            return false;
        if (exists)
            *ret_id = stored->external_id;
        return true;
    }
    /* Only an earlier run may have made it without being able to tell. */
    return work_token(self->work)->run <= 1 ||
           deed->find(self, deed->key, deed->context, ret_id, err);
}

/* After a broken call it is looked for; when it is not there, it is made again. */
static bool make(struct openstack *self, const struct openstack_deed *deed, const char **ret_id,
                 struct error *err)
{
    for (unsigned i = 1;; i++) {
        if (!work_fence(self->work, err))
            return false;
        if (deed->make(self, deed->key, deed->context, ret_id, err)) {
            if ((*ret_id)[0] != '\0')
                return true;
            error_set(err, &FAULT_UNCERTAIN, "the answer has no id");
        }
        if (err->fault != &FAULT_UNCERTAIN || i == TRIES_MOST)
            return false;
        struct error why = *err;
        work_note(self->work, "%s \"%s\": %s; looking whether it was made", deed->kind, deed->key,
                  why.text);
        if (!work_wait_ms(self->work, 2000, err) ||
            !deed->find(self, deed->key, deed->context, ret_id, err))
            return false;
        if ((*ret_id)[0] != '\0')
            return true;
    }
}

bool openstack_do(struct openstack *self, const struct openstack_deed *deed, const char **ret_id,
                  struct error *err)
{
    const struct ledger_entry *stored = NULL;
    struct ledger_entry entry = {
        .end = END_DESTINATION, .kind = deed->kind, .key = deed->key, .prior_json = ""};
    const char *id = "";
    if (!work_intend(self->work, &entry, &stored, err) || !find_made(self, deed, stored, &id, err))
        return false;
    if (id[0] == '\0' && !make(self, deed, &id, err))
        return error_prefix(err, "%s \"%s\"", deed->kind, deed->key);
    *ret_id = arena_strdup(work_arena(self->work), id);
    return work_made(self->work, stored, *ret_id, err);
}

bool openstack_remove(struct openstack *self, const char *service, const char *path,
                      bool *ret_found, struct error *err)
{
    struct openstack_call call = {.method = "DELETE", .service = service, .path = path};
    *ret_found = true;
    if (!work_fence(self->work, err))
        return false;
    if (openstack_call(self->session, &call, NULL, err))
        return true;
    if (err->fault != &FAULT_NOT_FOUND)
        return false;
    *ret_found = false;
    return true;
}
