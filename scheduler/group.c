/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of waiting jobs with equal needs (picture.h).
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/json/writer.h"
#include "scheduler/intern.h"
#include "scheduler/picture.h"

static void write_needs(const struct place_need *need, const struct uuid *source_id,
                        const struct uuid *destination_id, bool is_urgent, struct buffer *text)
{
    struct writer writer;
    writer_init(&writer, text);
    writer_object_begin(&writer, NULL);
    writer_uuid(&writer, "source", source_id);
    writer_text(&writer, "source_driver", need->source_driver);
    writer_uuid(&writer, "destination", destination_id);
    writer_text(&writer, "destination_driver", need->destination_driver);
    writer_array_begin(&writer, "labels");
    for (size_t i = 0; i < need->labels.count; i++)
        writer_text(&writer, NULL, need->labels.items[i]);
    writer_array_end(&writer);
    writer_unsigned(&writer, "slots", need->slots);
    writer_unsigned(&writer, "memory_bytes", need->memory_bytes);
    writer_unsigned(&writer, "space_bytes", need->space_bytes);
    writer_bool(&writer, "urgent", is_urgent);
    writer_object_end(&writer);
}

struct group *picture_get_group(struct picture *picture, const struct place_need *need,
                                const struct uuid *source_id, const struct uuid *destination_id,
                                bool is_urgent)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    static const struct uuid space = {{'g', 'u', 't', 's', ' ', 'n', 'e', 'e', 'd', 's'}};
    write_needs(need, source_id, destination_id, is_urgent, &text);
    struct uuid hash = uuid_derive(&space, text.data);
    struct group *group = map_find(&picture->groups, &hash);
    if (group != NULL)
        return group;
    group = xcalloc(1, sizeof *group);
    group->hash = hash;
    group->need = *need;
    group->need.labels = (struct place_words){0};
    for (size_t i = 0; i < need->labels.count; i++)
        intern_words_add(&group->need.labels, need->labels.items[i]);
    group->source_id = *source_id;
    group->destination_id = *destination_id;
    group->needs_json = xstrdup(text.data);
    group->is_urgent = is_urgent;
    group->is_new = true;
    group->level = HUGE_VAL; /* the first node begins a wave */
    list_init(&group->jobs);
    list_append(&picture->group_list, &group->link);
    map_put(&picture->groups, &hash, group);
    return group;
}

void picture_wait(struct group *group, struct job *job)
{
    picture_unwait(job);
    if (group->waiting == 0)
        group->is_new = true; /* its last try was for jobs that have gone */
    job->group = group;
    job->fact.needs_hash = group->hash;
    list_append(&group->jobs, &job->group_link);
    group->waiting++;
}

void picture_unwait(struct job *job)
{
    if (job->group == NULL)
        return;
    list_remove(&job->group_link);
    job->group->waiting--;
    job->group = NULL;
}

void picture_drop_group(struct picture *picture, struct group *group)
{
    if (group->held != NULL) {
        picture_node_gained(picture, group->held); /* for those that it was kept from */
        group->held->held_for = NULL;
    }
    list_remove(&group->link);
    map_take(&picture->groups, &group->hash);
    group_free(group);
}
