/* SPDX-License-Identifier: Apache-2.0
 *
 * The two ends of a job: which driver, with which settings, and the secrets that only a worker sees.
 * A seal opens only for the id and the address that it was made for, and the address is computed here
 * anew from the settings (proto/address.h).
 */
#include <string.h>

#include "common/base/seals.h"
#include "migration/steps.h"
#include "proto/address.h"

#define ADDRESS_SETTINGS_MOST 16
#define SETTINGS_MOST_BYTES (256u << 10)

static bool open_seal(const struct run *run, const struct endpoint *endpoint, const char *address,
                      struct secret **ret_secret, struct error *err)
{
    struct seal_private *key = NULL;
    if (!*run->private_key)
        return error_set(err, &FAULT_SEAL_INVALID, "this node has no key that opens seals");
    if (!seal_private_load(run->private_key, &key, err))
        return false;
    bool good = seals_open(key, endpoint->seal, endpoint->seal_length, &endpoint->id, address,
                           ret_secret, err);
    seal_private_free(key);
    if (!good && err->fault == &FAULT_DENIED)
        err->fault = &FAULT_SEAL_INVALID;
    return good || error_prefix(err, "the credentials of \"%s\"", endpoint->name);
}

static bool compute_address(const struct setting *declared, size_t count, const json_t *values,
                            struct buffer *ret_address, struct error *err)
{
    const char *names[ADDRESS_SETTINGS_MOST];
    size_t name_count = 0;
    for (size_t i = 0; i < count && name_count < ADDRESS_SETTINGS_MOST; i++) {
        if (declared[i].address)
            names[name_count++] = declared[i].name;
    }
    return address_of(values, names, name_count, ret_address, err);
}

static bool take_settings(const struct run *run, const struct endpoint *endpoint,
                          const struct setting *declared, size_t count,
                          struct settings **ret_settings, struct error *err)
{
    if (*ret_settings)
        return true;
    size_t length = strlen(endpoint->settings_json);
    json_t *values = length <= SETTINGS_MOST_BYTES
                         ? json_loadb(length ? endpoint->settings_json : "{}", length ? length : 2,
                                      JSON_REJECT_DUPLICATES, NULL)
                         : NULL;
    if (!json_is_object(values)) {
        json_decref(values);
        return error_set(err, &FAULT_INVALID, "the settings of \"%s\" are no object",
                         endpoint->name);
    }
    CLEANUP(buffer_fini) struct buffer address = {0};
    CLEANUP(secret_freep) struct secret *secret = NULL;
    bool good = endpoint->seal_length == 0 ||
                (compute_address(declared, count, values, &address, err) &&
                 open_seal(run, endpoint, address.data ? address.data : "", &secret, err));
    good = good && settings_new(declared, count, values, secret, ret_settings, err);
    json_decref(values);
    return good || error_prefix(err, "\"%s\"", endpoint->name);
}

bool ends_open_source(struct run *run, struct error *err)
{
    if (run->source)
        return true;
    const struct endpoint *endpoint = &run->assign->source;
    run->source_driver = source_driver_find(endpoint->driver);
    if (!run->source_driver)
        return error_set(err, &FAULT_DRIVER_UNKNOWN, "no source driver \"%s\" here",
                         endpoint->driver);
    return take_settings(run, endpoint, run->source_driver->settings,
                         run->source_driver->setting_count, &run->source_settings, err) &&
           run->source_driver->open(run->work, run->source_settings, &run->source, err);
}

bool ends_open_destination(struct run *run, struct error *err)
{
    if (run->destination)
        return true;
    const struct endpoint *endpoint = &run->assign->destination;
    run->destination_driver = destination_driver_find(endpoint->driver);
    if (!run->destination_driver)
        return error_set(err, &FAULT_DRIVER_UNKNOWN, "no destination driver \"%s\" here",
                         endpoint->driver);
    const struct destination_driver *driver = run->destination_driver;
    return take_settings(run, endpoint, driver->settings, driver->setting_count,
                         &run->destination_settings, err) &&
           driver->open(run->work, run->destination_settings, &run->destination, err);
}

/* Options that are not of this driver belong to guts itself and were checked by the API. */
bool ends_take_options(struct run *run, struct error *err)
{
    const struct destination_driver *driver = run->destination_driver;
    json_t *mine = json_object();
    for (size_t i = 0; i < driver->option_count; i++) {
        json_t *value = json_object_get(run->options, driver->options[i].name);
        if (value)
            json_object_set(mine, driver->options[i].name, value);
    }
    bool good =
        settings_new(driver->options, driver->option_count, mine, NULL, &run->option_settings, err);
    json_decref(mine);
    return good || error_prefix(err, "options");
}

void ends_close(struct run *run)
{
    if (run->session)
        run->source_driver->export_end(run->session);
    if (run->source)
        run->source_driver->close(run->source);
    if (run->destination)
        run->destination_driver->close(run->destination);
    settings_free(run->source_settings);
    settings_free(run->destination_settings);
    settings_free(run->option_settings);
    run->session = NULL;
    run->source = NULL;
    run->destination = NULL;
    run->source_settings = run->destination_settings = run->option_settings = NULL;
}
