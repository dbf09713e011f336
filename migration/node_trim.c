/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/node_trim.h"

#include <stdbool.h>

#include "common/base/log.h"
#include "proto/bus.h"
#include "proto/codec.h"

static bool fits(const Guts__V1__NodeReport *report)
{
    return codec_packed_bytes(&report->base) <= BUS_MESSAGE_MOST_BYTES;
}

static void drop_result(Guts__V1__JobReport *job)
{
    job->result = NULL;
}

static void drop_progress(Guts__V1__JobReport *job)
{
    job->n_steps = job->n_disks = job->n_notes = 0;
}

static bool drop_until_it_fits(Guts__V1__NodeReport *report, void (*drop)(Guts__V1__JobReport *))
{
    for (size_t i = 0; i < report->n_jobs && !fits(report); i++)
        drop(report->jobs[(report->number + i) % report->n_jobs]);
    return fits(report);
}

void report_trim(Guts__V1__NodeReport *report)
{
    if (fits(report))
        return;
    log_warn("report_too_large", "parts of it are told another time");
    for (size_t i = 0; i < report->n_jobs; i++)
        report->jobs[i]->n_ledger = 0;
    if (!drop_until_it_fits(report, drop_result) && !drop_until_it_fits(report, drop_progress))
        log_error("report_too_large", "%zu jobs are too many for one report", report->n_jobs);
}
