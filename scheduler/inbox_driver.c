/* SPDX-License-Identifier: Apache-2.0
 *
 * Declarations of drivers in full reports: stored when they changed, and looked through for what
 * placing must know (which of them stage disks).
 */
#include <string.h>

#include "common/json/writer.h"
#include "scheduler/inbox.h"
#include "scheduler/intern.h"

/* "" says nothing. */
static void write_said(struct writer *writer, const char *key, const char *text)
{
    writer_text(writer, key, text[0] == '\0' ? NULL : text);
}

static void write_settings(struct writer *writer, const char *key,
                           Guts__V1__Setting *const *settings, size_t count)
{
    writer_array_begin(writer, key);
    for (size_t i = 0; i < count; i++) {
        writer_object_begin(writer, NULL);
        writer_text(writer, "name", settings[i]->name);
        writer_text(writer, "type", settings[i]->type);
        writer_bool(writer, "secret", settings[i]->secret);
        writer_bool(writer, "required", settings[i]->required);
        writer_bool(writer, "address", settings[i]->address);
        write_said(writer, "standard", settings[i]->standard);
        writer_text(writer, "help", settings[i]->help);
        write_said(writer, "choices", settings[i]->choices);
        write_said(writer, "shape", settings[i]->shape);
        write_said(writer, "catalog", settings[i]->catalog);
        if (settings[i]->most > settings[i]->least) {
            writer_integer(writer, "least", settings[i]->least);
            writer_integer(writer, "most", settings[i]->most);
        }
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

static void write_declaration(const Guts__V1__DriverDeclaration *driver, struct buffer *text)
{
    struct writer writer;
    writer_init(&writer, text);
    writer_object_begin(&writer, NULL);
    writer_text(&writer, "title", driver->title);
    writer_array_begin(&writer, "features");
    for (size_t i = 0; i < driver->n_features; i++)
        writer_text(&writer, NULL, driver->features[i]);
    writer_array_end(&writer);
    write_settings(&writer, "settings", driver->settings, driver->n_settings);
    write_settings(&writer, "options", driver->options, driver->n_options);
    writer_object_end(&writer);
}

static uint64_t hash_text(const char *text, size_t length)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001B3u;
    return hash;
}

/* Whether this declaration differs from what was stored last. */
static bool is_news(struct scheduler *scheduler, enum end end, const char *name, uint64_t hash)
{
    for (size_t i = 0; i < scheduler->driver_count; i++) {
        struct declared_driver *known = &scheduler->drivers[i];
        if (known->end != end || known->name != name)
            continue;
        bool differs = known->hash != hash;
        known->hash = hash;
        return differs;
    }
    scheduler->drivers =
        xreallocarray(scheduler->drivers, scheduler->driver_count + 1, sizeof *scheduler->drivers);
    scheduler->drivers[scheduler->driver_count++] = (struct declared_driver){end, name, hash};
    return true;
}

void inbox_apply_drivers(struct tick *tick, const Guts__V1__NodeReport *report)
{
    struct scheduler *scheduler = tick->scheduler;
    for (size_t i = 0; i < report->n_drivers; i++) {
        const Guts__V1__DriverDeclaration *driver = report->drivers[i];
        CLEANUP(buffer_fini) struct buffer text = {0};
        enum end end = codec_end(driver->end);
        const char *name = intern(driver->name);
        write_declaration(driver, &text);
        for (size_t k = 0; k < driver->n_features; k++)
            if (strcmp(driver->features[k], "stages") == 0)
                intern_words_add(end == END_SOURCE ? &scheduler->staging_sources
                                                   : &scheduler->staging_destinations,
                                 name);
        if (!is_news(scheduler, end, name, hash_text(text.data, text.length)))
            continue;
        *TICK_ADD(tick, &tick->drivers) =
            (struct driver_fact){end, name, arena_strdup(tick->arena, text.data), tick->now_us};
    }
}
