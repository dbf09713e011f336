/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/steps.h"

#include <string.h>

#include "common/base/crashpoint.h"

static bool is_done(const struct run *run, const char *name)
{
    return progress_step(run->progress, name) != NULL;
}

/* Done in an earlier run, no longer needed, or not asked for. */
static bool is_passed(struct run *run, const struct step *step)
{
    if (step->until ? is_done(run, step->until) : is_done(run, step->name)) {
        work_tell_step(run->work, step->name, WORK_STEP_DONE, NULL);
        return true;
    }
    if (step->wanted && !step->wanted(run)) {
        work_tell_step(run->work, step->name, WORK_STEP_SKIPPED, NULL);
        return true;
    }
    return false;
}

static bool run_one(struct run *run, const struct step *step, struct error *err)
{
    if (!work_go_on(run->work, err))
        return false;
    crashpoint("before_step", step->name);
    work_tell_step(run->work, step->name, WORK_STEP_RUNNING, NULL);
    json_decref(run->state);
    run->state = json_object();
    bool good = step->run(run, err);
    crashpoint("after_deed", step->name);
    if (good && !step->until)
        good = progress_set_step(run->progress, step->name, run->state, err);
    work_tell_step(run->work, step->name, good ? WORK_STEP_DONE : WORK_STEP_FAILED,
                   good ? NULL : err);
    crashpoint("after_step", step->name);
    return good;
}

/* Where to go on after a failure: at the copy, when its source changed meanwhile; else nowhere. */
static bool find_way_back(struct run *run, const struct step *steps, size_t *at,
                          const struct error *fault)
{
    const char *name = steps[*at].name;
    bool looks = strcmp(name, "copy") == 0 || strcmp(name, "check") == 0;
    if (fault->fault != &FAULT_SOURCE_CHANGED || !looks ||
        ++run->copy_rounds >= STEPS_COPY_ROUNDS_MOST)
        return false;
    struct error err;
    work_note(run->work, "the source changed while it was read: copying again (%s)", fault->text);
    if (!copy_forget(run, &err))
        return false;
    while (*at > 0 && strcmp(steps[*at].name, "export") != 0)
        (*at)--;
    return true;
}

bool steps_run(struct run *run, const struct step *steps, size_t count, struct error *err)
{
    size_t at = 0;
    while (at < count) {
        const struct step *step = &steps[at];
        if (!is_passed(run, step) && !run_one(run, step, err)) {
            if (!find_way_back(run, steps, &at, err))
                return error_prefix(err, "%s", step->name);
            continue;
        }
        if (step->reached != MIGRATION_UNKNOWN)
            work_reach(run->work, step->reached);
        at++;
    }
    return true;
}
