/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything in a message that applying it relies on: a stranger may have written it.
 */
#include <string.h>

#include "proto/fault.h"
#include "proto/topology.h"
#include "scheduler/inbox.h"

#define WORD_MOST 64
#define WORDS_MOST 64
#define JOBS_MOST 4096
#define STEPS_MOST 256
#define PATH_MOST 1024

static bool poison(struct error *err, const char *what)
{
    return error_set(err, &FAULT_MESSAGE_POISON, "%s is missing or breaks its bounds", what);
}

static bool is_word(const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);
    if (length == 0 || length > WORD_MOST)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7F || text[i] == '"' ||
            text[i] == '\\')
            return false;
    return true;
}

static bool are_words(char *const *words, size_t count)
{
    if (count > WORDS_MOST)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_word(words[i]))
            return false;
    return true;
}

static bool is_id(ProtobufCBinaryData data)
{
    struct uuid id;
    return codec_uuid(data, &id) && !uuid_is_nil(&id);
}

static bool is_token(const Guts__V1__Token *wire)
{
    struct token token;
    return codec_token(wire, &token) && !uuid_is_nil(&token.job);
}

static bool check_result(const Guts__V1__JobResult *result, struct error *err)
{
    if (result == NULL || !is_token(result->token))
        return poison(err, "the result's token");
    if (result->outcome < GUTS__V1__OUTCOME__OUTCOME_DONE ||
        result->outcome > GUTS__V1__OUTCOME__OUTCOME_CANCELLED)
        return poison(err, "the result's outcome");
    return true;
}

static bool check_job_report(const Guts__V1__JobReport *job, struct error *err)
{
    struct ledger_entry entry;
    if (!is_token(job->token))
        return poison(err, "a job's token");
    if (job->n_steps > STEPS_MOST || job->n_disks > VM_DISKS_MOST || job->n_notes > STEPS_MOST)
        return poison(err, "a job's list");
    for (size_t i = 0; i < job->n_steps; i++)
        if (!is_word(job->steps[i]->name) || job->steps[i]->number > UINT16_MAX)
            return poison(err, "a step's name or number");
    for (size_t i = 0; i < job->n_disks; i++)
        if (job->disks[i]->number >= VM_DISKS_MOST)
            return poison(err, "a disk's number");
    for (size_t i = 0; i < job->n_ledger; i++)
        if (!codec_ledger_entry(job->ledger[i], &entry, err))
            return false;
    return job->result == NULL || check_result(job->result, err);
}

static bool check_report(const Guts__V1__NodeReport *report, struct error *err)
{
    if (!is_id(report->node_id) || !is_word(report->instance))
        return poison(err, "the node's id or instance");
    if (!topology_node_name_is_valid(report->name))
        return poison(err, "the node's name");
    if (!are_words(report->labels, report->n_labels) ||
        !are_words(report->source_drivers, report->n_source_drivers) ||
        !are_words(report->destination_drivers, report->n_destination_drivers))
        return poison(err, "a label or driver");
    if (report->n_pools > PLACE_POOLS_MOST || report->n_resources > WORDS_MOST ||
        report->n_jobs > JOBS_MOST || report->n_drivers > WORDS_MOST)
        return poison(err, "the length of a list");
    for (size_t i = 0; i < report->n_pools; i++)
        if (!is_id(report->pools[i]->id) || strlen(report->pools[i]->path) > PATH_MOST)
            return poison(err, "a pool");
    for (size_t i = 0; i < report->n_resources; i++)
        if (!is_word(report->resources[i]->name))
            return poison(err, "a resource");
    for (size_t i = 0; i < report->n_drivers; i++)
        if (!is_word(report->drivers[i]->name) || codec_end(report->drivers[i]->end) == END_UNKNOWN)
            return poison(err, "a driver's declaration");
    for (size_t i = 0; i < report->n_jobs; i++)
        if (!check_job_report(report->jobs[i], err))
            return false;
    return true;
}

static bool check_ledger_write(const Guts__V1__LedgerWrite *write, struct error *err)
{
    struct ledger_entry entry;
    if (!is_id(write->node_id) || !is_word(write->node_instance) || !is_token(write->token))
        return poison(err, "the node or the token");
    if (write->entry == NULL)
        return poison(err, "the entry");
    return codec_ledger_entry(write->entry, &entry, err);
}

static bool check_inventory(const Guts__V1__InventoryPage *page, struct arena *arena,
                            struct error *err)
{
    struct vm vm;
    if (!is_token(page->token) || !is_id(page->node_id) || page->number == 0)
        return poison(err, "the page's token, node or number");
    for (size_t i = 0; i < page->n_vms; i++)
        if (!codec_vm(page->vms[i], arena, &vm, err))
            return false;
    return true;
}

static bool check_catalogue(const Guts__V1__CatalogPage *page, struct error *err)
{
    if (!is_token(page->token) || !is_id(page->node_id) || page->number == 0)
        return poison(err, "the page's token, node or number");
    for (size_t i = 0; i < page->n_items; i++)
        if (!is_word(page->items[i]->kind) || strlen(page->items[i]->kind) > 32 ||
            page->items[i]->id[0] == '\0' || strlen(page->items[i]->id) > 191)
            return poison(err, "an item of the catalogue");
    return true;
}

bool inbox_check(enum message_type type, const ProtobufCMessage *body, struct arena *arena,
                 struct error *err)
{
    const void *any = body;
    const Guts__V1__JobAccept *accept = any;
    const Guts__V1__JobRefuse *refuse = any;
    const Guts__V1__JobFinished *finished = any;
    switch (type) {
    case MESSAGE_WAKE:
        return true;
    case MESSAGE_NODE_REPORT:
        return check_report(any, err);
    case MESSAGE_JOB_ACCEPT:
        return (is_id(accept->node_id) && is_word(accept->node_instance) &&
                is_token(accept->token)) ||
               poison(err, "the node or the token");
    case MESSAGE_JOB_REFUSE:
        return (is_id(refuse->node_id) && is_word(refuse->node_instance) &&
                is_token(refuse->token)) ||
               poison(err, "the node or the token");
    case MESSAGE_LEDGER_WRITE:
        return check_ledger_write(any, err);
    case MESSAGE_JOB_FINISHED:
        return is_id(finished->node_id) ? check_result(finished->result, err)
                                        : poison(err, "the node's id");
    case MESSAGE_INVENTORY_PAGE:
        return check_inventory(any, arena, err);
    case MESSAGE_CATALOG_PAGE:
        return check_catalogue(any, err);
    default:
        return error_set(err, &FAULT_MESSAGE_POISON, "\"%s\" is not for a scheduler",
                         message_type_name(type));
    }
}
