/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/walls.h"

#include <jansson.h>
#include <string.h>

#include "common/base/crashpoint.h"
#include "migration/cage.h"
#include "migration/confine.h"
#include "migration/destination/destination.h"
#include "migration/source/source.h"

static bool names_url(const struct setting *declared, size_t count, const char *settings_json)
{
    json_t *values = json_loads(*settings_json ? settings_json : "{}", 0, NULL);
    bool found = false;
    for (size_t i = 0; i < count && !found; i++)
        found = declared[i].type == SETTING_URL &&
                json_is_string(json_object_get(values, declared[i].name));
    json_decref(values);
    return found;
}

static bool needs_network(const struct assign *assign)
{
    const struct source_driver *source = source_driver_find(assign->source.driver);
    const struct destination_driver *destination =
        destination_driver_find(assign->destination.driver);
    return (source != NULL &&
            names_url(source->settings, source->setting_count, assign->source.settings_json)) ||
           (destination != NULL && names_url(destination->settings, destination->setting_count,
                                             assign->destination.settings_json));
}

static void allow_all(struct confine *confine, const struct conf_strings *paths, unsigned access)
{
    for (size_t i = 0; i < paths->count; i++)
        confine_path(confine, paths->items[i], access);
}

static void allow_tools(struct confine *confine)
{
    static const char *const tools[] = {"qemu-nbd", "qemu-system-x86_64"};
    for (size_t i = 0; i < COUNT_OF(tools); i++) {
        CLEANUP(xfreep) char *path = cage_tool(tools[i]);
        if (path != NULL)
            confine_tool(confine, path);
    }
}

bool walls_raise(const struct handover *handover, const struct assign *assign, struct error *err)
{
    CLEANUP(confine_freep) struct confine *confine = NULL;
    if (!confine_new(needs_network(assign) ? CONFINE_NETWORK : 0, &confine, err))
        return false;
    confine_system(confine);
    allow_tools(confine);
    confine_path(confine, handover->directory, CONFINE_READ | CONFINE_WRITE);
    allow_all(confine, &handover->roots_read, CONFINE_READ);
    allow_all(confine, &handover->roots_write, CONFINE_READ | CONFINE_WRITE);
    if (*handover->private_key)
        confine_path(confine, handover->private_key, CONFINE_READ);
    if (crashpoint_directory())
        confine_path(confine, crashpoint_directory(), CONFINE_READ | CONFINE_WRITE);
    int failed = confine_enter(confine);
    return failed == 0 || error_set_errno(err, failed, "confining the worker");
}
