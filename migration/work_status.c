/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker tells of itself: one JobReport, sent whole whenever something in it moved, so that
 * losing one loses nothing.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "migration/work_state.h"
#include "proto/codec.h"

#define STATUS_GAP_MS 200
#define BEAT_GAP_MS 2000

/* Wakes the thread so that the change is sent at once. */
static void unlock_urgent(struct work *work)
{
    work->urgent = true;
    work->beat++;
    pthread_mutex_unlock(&work->mutex);
    work_wake(work);
}

static struct work_step *find_step(struct work *work, const char *name)
{
    for (size_t i = 0; i < work->step_count; i++) {
        if (strcmp(work->steps[i].name, name) == 0)
            return &work->steps[i];
    }
    if (work->step_count == WORK_STEPS_MOST)
        return NULL;
    struct work_step *step = &work->steps[work->step_count++];
    snprintf(step->name, sizeof(step->name), "%s", name);
    return step;
}

void work_tell_step(struct work *work, const char *name, enum work_step_state state,
                    const struct error *fault)
{
    pthread_mutex_lock(&work->mutex);
    struct work_step *step = find_step(work, name);
    if (step) {
        step->state = state;
        if (state == WORK_STEP_RUNNING)
            step->started_at = clock_wall_us();
        step->finished_at = state == WORK_STEP_RUNNING ? 0 : clock_wall_us();
        step->fault = fault ? *fault : (struct error){0};
    }
    unlock_urgent(work);
}

void work_reach(struct work *work, enum migration_state reached)
{
    pthread_mutex_lock(&work->mutex);
    work->reached = reached;
    unlock_urgent(work);
}

enum migration_state work_reached(const struct work *work)
{
    return work->reached;
}

void work_take_way(struct work *work, enum migration_state way)
{
    pthread_mutex_lock(&work->mutex);
    work->way = way;
    pthread_mutex_unlock(&work->mutex);
}

void work_count_resume(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    work->resumes++;
    pthread_mutex_unlock(&work->mutex);
}

uint32_t work_resumes(const struct work *work)
{
    return work->resumes;
}

void work_tell_disk(struct work *work, size_t index, const struct work_disk *disk)
{
    pthread_mutex_lock(&work->mutex);
    if (index < VM_DISKS_MOST) {
        work->disks[index] = *disk;
        work->disk_count = index < work->disk_count ? work->disk_count : index + 1;
    }
    pthread_mutex_unlock(&work->mutex);
}

void work_watch(struct work *work, int index, struct copy_control *control)
{
    pthread_mutex_lock(&work->mutex);
    for (size_t i = 0; i < WORK_CONTROLS_MOST; i++) {
        if (!work->watched[i].control) {
            work->watched[i] = (struct work_watched){index, control};
            break;
        }
    }
    pthread_mutex_unlock(&work->mutex);
    work_wake(work); /* it may have to stop at once */
}

void work_unwatch(struct work *work, struct copy_control *control)
{
    pthread_mutex_lock(&work->mutex);
    for (size_t i = 0; i < WORK_CONTROLS_MOST; i++) {
        if (work->watched[i].control == control)
            work->watched[i].control = NULL;
    }
    pthread_mutex_unlock(&work->mutex);
}

void work_note(struct work *work, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&work->mutex);
    if (work->note_count < WORK_NOTES_MOST) {
        struct work_note *note = &work->notes[work->note_count % WORK_NOTES_KEPT];
        vsnprintf(note->text, sizeof(note->text), format, args);
        utf8_mend(note->text);
        note->at = clock_wall_us();
        /* Rises over the runs of an attempt without being stored. */
        note->number = (uint64_t)work->token.run * NOTES_A_RUN + ++work->note_count;
    }
    va_end(args);
    unlock_urgent(work);
}

void work_mark_partial(struct work *work)
{
    work->partial = true;
}

bool work_is_partial(const struct work *work)
{
    return work->partial;
}

static void put_steps(struct work *work, struct arena *arena, Guts__V1__JobReport *report)
{
    report->n_steps = work->step_count;
    report->steps = arena_calloc(arena, work->step_count + 1, sizeof(*report->steps));
    for (size_t i = 0; i < work->step_count; i++) {
        const struct work_step *from = &work->steps[i];
        Guts__V1__StepReport *to = arena_alloc(arena, sizeof(*to));
        guts__v1__step_report__init(to);
        to->number = (uint32_t)i + 1;
        to->name = (char *)from->name;
        to->state = (Guts__V1__StepState)from->state;
        to->started_at = from->started_at;
        to->finished_at = from->finished_at;
        to->fault = codec_fault_to(arena, &from->fault);
        report->steps[i] = to;
    }
}

/* Adds what the watched copy of this disk has moved so far. */
static void add_control(const struct work *work, size_t index, Guts__V1__DiskReport *report)
{
    for (size_t i = 0; i < WORK_CONTROLS_MOST; i++) {
        struct copy_control *control = work->watched[i].control;
        if (!control || work->watched[i].index != (int)index)
            continue;
        report->total_bytes = atomic_load(&control->total_bytes);
        report->done_bytes = atomic_load(&control->done_bytes);
        report->read_bytes += atomic_load(&control->read_bytes);
        report->written_bytes += atomic_load(&control->written_bytes);
    }
}

static void put_disks(struct work *work, struct arena *arena, Guts__V1__JobReport *report)
{
    report->n_disks = work->disk_count;
    report->disks = arena_calloc(arena, work->disk_count + 1, sizeof(*report->disks));
    for (size_t i = 0; i < work->disk_count; i++) {
        const struct work_disk *from = &work->disks[i];
        Guts__V1__DiskReport *to = arena_alloc(arena, sizeof(*to));
        guts__v1__disk_report__init(to);
        to->number = (uint32_t)i;
        to->capacity_bytes = from->capacity_bytes;
        to->total_bytes = from->total_bytes;
        to->done_bytes = from->done_bytes;
        to->read_bytes = from->read_bytes;
        to->written_bytes = from->written_bytes;
        to->digest = (char *)from->digest;
        add_control(work, i, to);
        report->disks[i] = to;
    }
}

static void put_notes(struct work *work, struct arena *arena, Guts__V1__JobReport *report)
{
    size_t count = work->note_count < WORK_NOTES_KEPT ? work->note_count : WORK_NOTES_KEPT;
    report->n_notes = count;
    report->notes = arena_calloc(arena, count + 1, sizeof(*report->notes));
    for (size_t i = 0; i < count; i++) {
        const struct work_note *from =
            &work->notes[(work->note_count - count + i) % WORK_NOTES_KEPT];
        Guts__V1__Note *to = arena_alloc(arena, sizeof(*to));
        guts__v1__note__init(to);
        to->number = from->number;
        to->at = from->at;
        to->text = (char *)from->text;
        report->notes[i] = to;
    }
}

static void pack_status(struct work *work, struct buffer *ret_packed)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__JobReport report;
    guts__v1__job_report__init(&report);
    report.token = codec_token_to(arena, &work->token);
    report.reached = (Guts__V1__MigrationState)work->reached;
    report.way = (Guts__V1__MigrationState)work->way;
    report.resumes = work->resumes;
    put_steps(work, arena, &report);
    put_disks(work, arena, &report);
    put_notes(work, arena, &report);
    codec_pack(&report.base, ret_packed);
}

/* Counters of a check that stands in no disk's report still show that there is life. */
static uint64_t count_life(const struct work *work)
{
    uint64_t life = work->beat;
    for (size_t i = 0; i < WORK_CONTROLS_MOST; i++) {
        struct copy_control *control = work->watched[i].control;
        if (control)
            life += atomic_load(&control->read_bytes) + atomic_load(&control->written_bytes) +
                    atomic_load(&control->done_bytes);
    }
    return life;
}

void work_send_status(struct work *work, bool now)
{
    uint64_t at = clock_mono_ms(), life = count_life(work);
    if (!now && !work->urgent && at < work->sent_ms + STATUS_GAP_MS)
        return;
    CLEANUP(buffer_fini) struct buffer packed = {0};
    pack_status(work, &packed);
    bool moved = packed.length != work->last_status.length ||
                 memcmp(packed.data, work->last_status.data, packed.length) != 0;
    bool alive = life != work->beat_sent && at >= work->sent_ms + BEAT_GAP_MS;
    struct error unsent;
    if (!(moved || alive) ||
        !channel_send(work->plan.channel_fd, CHANNEL_STATUS, packed.data, packed.length, &unsent))
        return;
    work->urgent = false;
    work->beat_sent = life;
    work->sent_ms = at;
    buffer_clear(&work->last_status);
    buffer_append(&work->last_status, packed.data, packed.length);
}
