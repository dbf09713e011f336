/* SPDX-License-Identifier: Apache-2.0
 *
 * The destination "openstack": the driver, and what it wants of a cloud for one migration.
 */
#include "migration/destination/drivers.h"

#include "migration/destination/fault_list.h"
#include "migration/destination/openstack_inner.h"

static void driver_close(struct destination *destination)
{
    struct openstack *self = (struct openstack *)destination;
    for (size_t i = 0; i < VM_DISKS_MOST; i++)
        openstack_upload_drop(&self->uploads[i]);
    link_close(self->link);
    free(self);
}

static bool driver_open(struct work *work, const struct settings *settings,
                        struct destination **ret_destination, struct error *err)
{
    struct openstack *self = xcalloc(1, sizeof(*self));
    self->destination.driver = &openstack_destination;
    self->work = work;
    if (!link_open(work, settings, END_DESTINATION, &self->link, err)) {
        free(self);
        return false;
    }
    self->session = self->link->session;
    *ret_destination = &self->destination;
    return true;
}

/* Each service that a migration needs answers. */
static bool driver_test(struct destination *destination, struct error *err)
{
    static const struct {
        const char *service, *path, *name;
    } looks[] = {{"image", "/images?limit=1", "images"},
                 {"compute", "/flavors?limit=1", "flavors"},
                 {"network", "/networks?limit=1&fields=id", "networks"}};
    struct openstack *self = (struct openstack *)destination;
    if (openstack_project_id(self->session) == NULL)
        return error_set(err, &FAULT_DESTINATION_CREDENTIALS,
                         "the token is of no project: set project_name or project_id");
    for (size_t i = 0; i < COUNT_OF(looks); i++) {
        json_t *list = NULL;
        if (!openstack_get(self->session, looks[i].service, looks[i].path, NULL, looks[i].name,
                           &list, err))
            return false;
        json_decref(list);
    }
    return true;
}

static bool driver_catalog(struct destination *destination,
                           bool (*take)(void *context, const char *kind, const char *id,
                                        const char *name, const json_t *detail, struct error *err),
                           void *context, struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    return (self->facts != NULL ||
            openstack_facts_read(self->session, work_arena(self->work), &self->facts, err)) &&
           openstack_facts_tell(self->facts, take, context, err);
}

static bool driver_preflight(struct destination *destination, const struct destination_plan *plan,
                             struct fault_list *faults, struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    size_t before = fault_list_count(faults);
    if (!openstack_decide(self->session, plan, &self->facts, faults, &self->options, &self->choice,
                          err))
        return false;
    self->decided = fault_list_count(faults) == before;
    return true;
}

/* What this migration holds already may fill a quota: the cloud has the last word on those. */
static bool find_reason(struct openstack *self, const struct destination_plan *plan,
                        struct error *ret_why, struct error *err)
{
    CLEANUP(fault_list_freep) struct fault_list *faults = fault_list_new();
    *ret_why = (struct error){0};
    if (!driver_preflight(&self->destination, plan, faults, err))
        return false;
    for (size_t i = 0; i < fault_list_count(faults) && ret_why->fault == NULL; i++) {
        const struct error *each = fault_list_get(faults, i);
        if (each->fault != &FAULT_QUOTA_EXCEEDED)
            *ret_why = *each;
    }
    return true;
}

bool openstack_want(struct openstack *self, const struct destination_plan *plan, struct error *err)
{
    struct error why;
    if (self->decided)
        return true;
    if (!find_reason(self, plan, &why, err))
        return false;
    self->decided = why.fault == NULL;
    return self->decided || error_set(err, why.fault, "%s", why.text);
}

bool openstack_explain(struct openstack *self, const struct destination_plan *plan,
                       struct error *err)
{
    struct error why, ignored;
    if (err->fault != &FAULT_INVALID && err->fault != &FAULT_NOT_FOUND &&
        err->fault != &FAULT_CONFLICT)
        return false;
    self->decided = false;
    self->facts = NULL;
    if (!find_reason(self, plan, &why, &ignored) || why.fault == NULL)
        return false;
    struct error refusal = *err;
    return error_set(err, why.fault, "%s; %s", why.text, refusal.text);
}

static const char *const features[] = {"stream", "boot-verification", NULL};

const struct destination_driver openstack_destination = {
    .name = "openstack",
    .title = "OpenStack",
    .features = features,
    .settings = link_settings,
    .setting_count = LINK_SETTING_COUNT,
    .options = openstack_options,
    .option_count = OPENSTACK_OPTION_COUNT,
    .converts = false,
    .open = driver_open,
    .close = driver_close,
    .test = driver_test,
    .catalog = driver_catalog,
    .preflight = driver_preflight,
    .disk_begin = openstack_disk_begin,
    .disk_end = openstack_disk_end,
    .disk_again = openstack_disk_again,
    .deploy = openstack_deploy,
    .verify = openstack_verify,
    .undo = openstack_undo,
    .accept = openstack_accept,
    .sweep = openstack_sweep,
    .settle = openstack_settle,
    .marks = openstack_marks,
    .remove_mark = openstack_remove_mark,
};
