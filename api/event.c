/* SPDX-License-Identifier: Apache-2.0 */
#include "api/event.h"

#include <string.h>

void event_write(struct writer *writer, const struct event_view *event)
{
    writer_object_begin(writer, NULL);
    writer_unsigned(writer, "number", event->number);
    writer_time(writer, "at", event->at);
    writer_text(writer, "project", event->project);
    writer_text(writer, "kind", event->kind);
    writer_text(writer, "severity", event->severity);
    writer_text(writer, "owner_kind", owner_kind_name(event->owner_kind));
    writer_uuid(writer, "owner_id", &event->owner_id);
    writer_text(writer, "text", event->text);
    writer_raw(writer, "data", event->data_json);
    writer_object_end(writer);
}

bool event_kind_fits(const char *wanted, const char *kind)
{
    if (wanted == NULL)
        return true;
    size_t length = strlen(wanted);
    return wanted[length - 1] == '.' ? strncmp(wanted, kind, length) == 0
                                     : strcmp(wanted, kind) == 0;
}
