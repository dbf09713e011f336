/* SPDX-License-Identifier: Apache-2.0
 *
 * The source "openstack": the servers of one project of a cloud.
 */
#include "migration/source/openstack.h"

#include <string.h>

#include "migration/source/openstack_inner.h"
#include "proto/fault.h"

static void source_close(struct source *source)
{
    struct openstack_source *self = (struct openstack_source *)source;
    link_close(self->link);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static bool source_open(struct work *work, const struct settings *settings,
                        struct source **ret_source, struct error *err)
{
    struct openstack_source *self = xcalloc(1, sizeof(*self));
    self->source.driver = &source_openstack;
    self->work = work;
    pthread_mutex_init(&self->mutex, NULL);
    if (!link_open(work, settings, END_SOURCE, &self->link, err)) {
        source_close(&self->source);
        return false;
    }
    self->session = self->link->session;
    *ret_source = &self->source;
    return true;
}

static bool take_none(void *context, const json_t *item, struct error *err)
{
    return true;
}

/* The services that an export needs answer, and to us. */
static bool source_test(struct source *source, struct error *err)
{
    struct openstack_source *self = (struct openstack_source *)source;
    json_t *limits;
    const char *url;
    if (!openstack_get(self->session, "compute", "/limits", NULL, "limits", &limits, err))
        return error_prefix(err, "Nova");
    json_decref(limits);
    return openstack_each(self->session, "network", "/networks?fields=id&limit=1", NULL, "networks",
                          take_none, NULL, err) &&
           openstack_endpoint(self->session, "image", &url, err);
}

static bool is_power(const struct ledger_entry *entry)
{
    return strcmp(entry->kind, "power") == 0;
}

static bool source_undo(struct source *source, const struct ledger_entry *entry,
                        enum ledger_state *ret_state, struct error *err)
{
    struct openstack_source *self = (struct openstack_source *)source;
    return is_power(entry) ? openstack_power_undo(self, entry, ret_state, err)
                           : openstack_thing_undo(self, entry, ret_state, err);
}

static bool source_settle(struct source *source, const struct ledger_entry *entry, bool *ret_mended,
                          struct error *err)
{
    struct openstack_source *self = (struct openstack_source *)source;
    return is_power(entry) ? openstack_power_settle(self, entry, ret_mended, err)
                           : openstack_thing_settle(self, entry, ret_mended, err);
}

/* What served the copy alone goes; the server stays stopped. */
static bool source_accept(struct source *source, const struct ledger_entry *entry,
                          enum ledger_state *ret_state, struct error *err)
{
    struct openstack_source *self = (struct openstack_source *)source;
    return is_power(entry) ? openstack_power_accept(self, entry, ret_state, err)
                           : openstack_thing_undo(self, entry, ret_state, err);
}

static const char *const features[] = {"random", "power", "snapshot", NULL};

const struct source_driver source_openstack = {
    .name = "openstack",
    .title = "OpenStack",
    .features = features,
    .settings = link_settings,
    .setting_count = LINK_SETTING_COUNT,
    .open = source_open,
    .close = source_close,
    .test = source_test,
    .list = openstack_source_list,
    .describe = openstack_source_describe,
    .export_begin = openstack_export_begin,
    .export_disk = openstack_export_disk,
    .export_check = openstack_export_check,
    .export_end = openstack_export_end,
    .export_forget = openstack_export_forget,
    .stop = openstack_source_stop,
    .undo = source_undo,
    .settle = source_settle,
    .accept = source_accept,
    .marks = openstack_source_marks,
    .remove_mark = openstack_source_remove_mark,
};
