/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything in a message that applying it relies on: a stranger may have written it.
 */
#include <string.h>

#include "proto/fault.h"
#include "proto/topology.h"
#include "scheduler/inbox.h"

#define WORD_MOST 64
#define JOBS_MOST 4096

static bool poison(struct error *err, const char *what)
{
    return error_set(err, &FAULT_MESSAGE_POISON, "%s is missing or breaks its bounds", what);
}

bool inbox_is_text(const char *text, size_t most)
{
    size_t length = text == NULL ? 0 : strlen(text);
    if (length == 0 || length > most)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7F || text[i] == '"' ||
            text[i] == '\\')
            return false;
    return true;
}

bool inbox_is_word(const char *text)
{
    return inbox_is_text(text, WORD_MOST);
}

bool inbox_is_id(ProtobufCBinaryData data)
{
    struct uuid id;
    return codec_uuid(data, &id) && !uuid_is_nil(&id);
}

bool inbox_is_token(const Guts__V1__Token *wire)
{
    struct token token;
    return codec_token(wire, &token) && !uuid_is_nil(&token.job);
}

/* Without these nobody could be answered; all else is trimmed. */
static bool check_report(Guts__V1__NodeReport *report, struct arena *arena, struct error *err)
{
    if (!inbox_is_id(report->node_id) || !inbox_is_word(report->instance))
        return poison(err, "the node's id or instance");
    if (!topology_node_name_is_valid(report->name))
        return poison(err, "the node's name");
    if (report->n_jobs > JOBS_MOST)
        return poison(err, "the number of jobs");
    inbox_trim_report(report, arena);
    return true;
}

/* Tokens that are none are taken out: each answer is judged by itself. */
static bool check_accept(Guts__V1__JobAccept *accept, struct error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < accept->n_tokens; i++)
        if (inbox_is_token(accept->tokens[i]))
            accept->tokens[kept++] = accept->tokens[i];
    accept->n_tokens = kept;
    return (inbox_is_id(accept->node_id) && inbox_is_word(accept->node_instance) && kept > 0) ||
           poison(err, "the node or the token");
}

static bool check_refuse(Guts__V1__JobRefuse *refuse, struct error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < refuse->n_refusals; i++)
        if (inbox_is_token(refuse->refusals[i]->token))
            refuse->refusals[kept++] = refuse->refusals[i];
    refuse->n_refusals = kept;
    return (inbox_is_id(refuse->node_id) && inbox_is_word(refuse->node_instance) && kept > 0) ||
           poison(err, "the node or the token");
}

static bool check_finished(Guts__V1__JobFinished *finished, struct arena *arena, struct error *err)
{
    struct token told, reported;
    if (!inbox_is_id(finished->node_id))
        return poison(err, "the node's id");
    if (finished->result == NULL || !inbox_is_token(finished->result->token) ||
        !codec_token(finished->result->token, &told))
        return poison(err, "the result's token");
    inbox_trim_result(finished->result, arena, UUID_TEXT(&told.job));
    if (finished->report == NULL)
        return true;
    finished->report->result = NULL;
    if (codec_token(finished->report->token, &reported) && uuid_equal(&told.job, &reported.job) &&
        told.attempt == reported.attempt)
        inbox_trim_job(finished->report, arena, UUID_TEXT(&told.job));
    else
        finished->report = NULL;
    return true;
}

static bool check_ledger_write(const Guts__V1__LedgerWrite *write, struct error *err)
{
    struct ledger_entry entry;
    if (!inbox_is_id(write->node_id) || !inbox_is_word(write->node_instance) ||
        !inbox_is_token(write->token))
        return poison(err, "the node or the token");
    if (write->entry == NULL)
        return poison(err, "the entry");
    if (!inbox_is_json(write->entry->prior_json))
        return poison(err, "the state before of the entry");
    return codec_ledger_entry(write->entry, &entry, err);
}

static bool check_inventory(const Guts__V1__InventoryPage *page, struct arena *arena,
                            struct error *err)
{
    struct vm vm;
    if (!inbox_is_token(page->token) || !inbox_is_id(page->node_id) || page->number == 0)
        return poison(err, "the page's token, node or number");
    for (size_t i = 0; i < page->n_vms; i++)
        if (!codec_vm(page->vms[i], arena, &vm, err))
            return false;
    return true;
}

static bool check_catalogue(const Guts__V1__CatalogPage *page, struct error *err)
{
    if (!inbox_is_token(page->token) || !inbox_is_id(page->node_id) || page->number == 0)
        return poison(err, "the page's token, node or number");
    for (size_t i = 0; i < page->n_items; i++)
        if (!inbox_is_word(page->items[i]->kind) || strlen(page->items[i]->kind) > 32 ||
            page->items[i]->id[0] == '\0' || strlen(page->items[i]->id) > 191 ||
            !inbox_is_json(page->items[i]->detail_json))
            return poison(err, "an item of the catalogue");
    return true;
}

bool inbox_check(enum message_type type, ProtobufCMessage *body, struct arena *arena,
                 struct error *err)
{
    void *any = body;
    switch (type) {
    case MESSAGE_WAKE:
        return true;
    case MESSAGE_NODE_REPORT:
        return check_report(any, arena, err);
    case MESSAGE_JOB_ACCEPT:
        return check_accept(any, err);
    case MESSAGE_JOB_REFUSE:
        return check_refuse(any, err);
    case MESSAGE_LEDGER_WRITE:
        return check_ledger_write(any, err);
    case MESSAGE_JOB_FINISHED:
        return check_finished(any, arena, err);
    case MESSAGE_INVENTORY_PAGE:
        return check_inventory(any, arena, err);
    case MESSAGE_CATALOG_PAGE:
        return check_catalogue(any, err);
    default:
        return error_set(err, &FAULT_MESSAGE_POISON, "\"%s\" is not for a scheduler",
                         message_type_name(type));
    }
}
