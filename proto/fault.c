/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/fault.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* -- Requests -- */

const struct fault FAULT_UNAUTHENTICATED = {
    .code = "unauthenticated",
    .retry = RETRY_NEVER,
    .http_status = 401,
    .title = "Authentication is required",
    .hint = "Give a valid token (guts: --token-file, GUTS_TOKEN_FILE, or --os-cloud and OS_* with "
            "Keystone; HTTP: X-Auth-Token); without Keystone an administrator makes one with "
            "guts-manage token-create.",
};
const struct fault FAULT_FORBIDDEN = {
    .code = "forbidden",
    .retry = RETRY_NEVER,
    .http_status = 403,
    .title = "The role does not allow this",
    .hint = "Use a token whose role in this project permits the request.",
};
const struct fault FAULT_KEYSTONE_UNAVAILABLE = {
    .code = "keystone_unavailable",
    .retry = RETRY_AGAIN,
    .http_status = 503,
    .title = "Keystone cannot say whether the token is valid",
    .hint =
        "Check that Keystone runs and that the API's own user may validate tokens; the API's log "
        "says what it answered.",
};
const struct fault FAULT_METHOD_NOT_ALLOWED = {
    .code = "method_not_allowed",
    .retry = RETRY_NEVER,
    .http_status = 405,
    .title = "The resource has no such method",
    .hint = "See the Allow header of the answer, or api/openapi.yaml.",
};
const struct fault FAULT_BODY_INVALID = {
    .code = "body_invalid",
    .retry = RETRY_NEVER,
    .http_status = 400,
    .title = "The request body is not a JSON object",
    .hint = "Send one JSON object in UTF-8 as the body.",
};
const struct fault FAULT_FIELDS_INVALID = {
    .code = "fields_invalid",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "Fields of the request are invalid",
    .hint = "Mend every field that \"errors\" names and send the request again.",
};
const struct fault FAULT_NAME_TAKEN = {
    .code = "name_taken",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The name is taken",
    .hint = "Choose another name, or use the one that has it.",
};
const struct fault FAULT_NAME_AMBIGUOUS = {
    .code = "name_ambiguous",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "Several things carry this name",
    .hint = "Use the id instead of the name.",
};
const struct fault FAULT_IN_USE = {
    .code = "in_use",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "Something still refers to it",
    .hint = "Finish or delete what uses it first.",
};
const struct fault FAULT_DRIVER_UNKNOWN = {
    .code = "driver_unknown",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "No node offers this driver",
    .hint = "See `guts driver list`; start a node that has the driver.",
};
const struct fault FAULT_SECRETS_NEEDED = {
    .code = "secrets_needed",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The secrets must be given again",
    .hint = "They were sealed for the former address: send them together with the new one.",
};
const struct fault FAULT_STATE_FORBIDS = {
    .code = "state_forbids",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The present state forbids this",
    .hint = "Look at the state of the thing and at what it allows.",
};
const struct fault FAULT_LEDGER_OPEN = {
    .code = "ledger_open",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "Entries of the ledger are not settled",
    .hint = "Roll back or clean up first; `guts migration show` lists the open entries.",
};
const struct fault FAULT_VM_GONE = {
    .code = "vm_gone",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The vm is no longer at its source",
    .hint =
        "Refresh the source; if the machine was moved or renamed, migrate it under its new name.",
};
const struct fault FAULT_VM_CHANGED = {
    .code = "vm_changed",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The vm is no longer as it was described",
    .hint = "Refresh the source, then try again.",
};
/* -- Placement and life -- */

const struct fault FAULT_NODE_NAME_TAKEN = {
    .code = "node_name_taken",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "Another node has this name",
    .hint = "Give the node a name of its own, or stop the other one that uses it.",
};
const struct fault FAULT_NODE_REFUSED = {
    .code = "node_refused",
    .retry = RETRY_AGAIN,
    .http_status = 503,
    .title = "The node would not take the job",
    .hint = "It is placed again by itself; the node's log says why it was refused.",
};
const struct fault FAULT_NODE_LOST = {
    .code = "node_lost",
    .retry = RETRY_AGAIN,
    .http_status = 503,
    .title = "The node was not heard of for too long",
    .hint = "Its jobs are given to other nodes; look after the host and its network.",
};
const struct fault FAULT_FENCED = {
    .code = "fenced",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The attempt is no longer the current one",
    .hint = "Nothing to do: a newer attempt does the work.",
};
const struct fault FAULT_STOPPED = {
    .code = "stopped",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The job was asked to stop",
    .hint = "Nothing to do: somebody cancelled it.",
};
const struct fault FAULT_WORKER_CRASHED = {
    .code = "worker_crashed",
    .retry = RETRY_AGAIN,
    .http_status = 500,
    .title = "The worker process died",
    .hint = "It is started again from its journal; the text holds its signal and last lines.",
};
const struct fault FAULT_WORKER_STALLED = {
    .code = "worker_stalled",
    .retry = RETRY_AGAIN,
    .http_status = 500,
    .title = "The worker made no progress for too long",
    .hint = "Look at the source, the destination and the node's disks; the job is tried again.",
};
const struct fault FAULT_ATTEMPTS_SPENT = {
    .code = "attempts_spent",
    .retry = RETRY_NEVER,
    .http_status = 500,
    .title = "All attempts were used up",
    .hint = "See why the attempts failed, mend that, then retry the migration.",
};
const struct fault FAULT_MESSAGE_POISON = {
    .code = "message_poison",
    .retry = RETRY_NEVER,
    .http_status = 500,
    .title = "A message could not be understood",
    .hint =
        "It lies in the dead-letter queue with its reason; compare the versions of the daemons.",
};
const struct fault FAULT_VERSION_UNSUPPORTED = {
    .code = "version_unsupported",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The peer speaks another version of the contract",
    .hint = "Bring all daemons to the same release.",
};
/* -- Sources -- */

const struct fault FAULT_SOURCE_UNREACHABLE = {
    .code = "source_unreachable",
    .retry = RETRY_AGAIN,
    .http_status = 502,
    .title = "The source cannot be reached",
    .hint = "Check its address, the network from the node and that the service runs.",
};
const struct fault FAULT_SOURCE_CREDENTIALS = {
    .code = "source_credentials",
    .retry = RETRY_NEVER,
    .http_status = 502,
    .title = "The source refuses the credentials",
    .hint = "Update the source with a user and password that are valid there.",
};
const struct fault FAULT_VM_RUNNING = {
    .code = "vm_running",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The vm is running",
    .hint = "Shut the machine down at its source, then try again.",
};
const struct fault FAULT_VM_SUSPENDED = {
    .code = "vm_suspended",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "The vm is suspended",
    .hint = "Resume it and shut it down: its memory cannot be moved.",
};
const struct fault FAULT_VM_LOCKED = {
    .code = "vm_locked",
    .retry = RETRY_AGAIN,
    .http_status = 409,
    .title = "Another program holds the vm",
    .hint = "Close the program that uses it; remove stale lock files if none does.",
};
const struct fault FAULT_VM_CONFIG_INVALID = {
    .code = "vm_config_invalid",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The description of the vm cannot be understood",
    .hint = "The text says which part; repair it at the source.",
};
const struct fault FAULT_VM_ENCRYPTED = {
    .code = "vm_encrypted",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The vm is encrypted",
    .hint = "Remove the encryption at the source first.",
};
const struct fault FAULT_DISK_MISSING = {
    .code = "disk_missing",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "A disk of the vm is missing",
    .hint = "The text names the file; put it back or remove the disk from the vm.",
};
const struct fault FAULT_DISK_INVALID = {
    .code = "disk_invalid",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "A disk image is damaged",
    .hint = "The text says what is wrong; repair the image or restore it from a backup.",
};
const struct fault FAULT_DISK_UNSUPPORTED = {
    .code = "disk_unsupported",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "This kind of disk cannot be read",
    .hint = "Convert the disk at the source into a kind that is supported.",
};
const struct fault FAULT_PATH_OUTSIDE = {
    .code = "path_outside",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The path leaves the node's roots",
    .hint = "Move the files beneath a configured root, or add a root to the node's configuration.",
};
const struct fault FAULT_ADDRESS_NOT_ALLOWED = {
    .code = "address_not_allowed",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The address is not on the node's allow list",
    .hint = "Add it to the allow list in the node's configuration if it is meant.",
};
const struct fault FAULT_SOURCE_CHANGED = {
    .code = "source_changed",
    .retry = RETRY_AGAIN,
    .http_status = 409,
    .title = "The source changed while it was read",
    .hint = "Make sure that nothing writes to the machine; the copy starts over.",
};
const struct fault FAULT_MANIFEST_MISMATCH = {
    .code = "manifest_mismatch",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "A digest of the manifest does not fit its file",
    .hint = "The export is damaged or was altered: export the machine again.",
};
const struct fault FAULT_ARCHIVE_INVALID = {
    .code = "archive_invalid",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The archive holds what is refused",
    .hint =
        "Only plain files with plain names and sane sizes are accepted: export the machine again.",
};
const struct fault FAULT_SEAL_INVALID = {
    .code = "seal_invalid",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The sealed secrets do not open",
    .hint = "Give the secrets of the source or destination again; check that the node has the key.",
};
/* -- Destinations -- */

const struct fault FAULT_DESTINATION_UNREACHABLE = {
    .code = "destination_unreachable",
    .retry = RETRY_AGAIN,
    .http_status = 502,
    .title = "The destination cannot be reached",
    .hint = "Check its address, the network from the node and that the service runs.",
};
const struct fault FAULT_DESTINATION_CREDENTIALS = {
    .code = "destination_credentials",
    .retry = RETRY_NEVER,
    .http_status = 502,
    .title = "The destination refuses the credentials",
    .hint = "Update the destination with a user and password that are valid there.",
};
const struct fault FAULT_DESTINATION_REFUSED = {
    .code = "destination_refused",
    .retry = RETRY_NEVER,
    .http_status = 502,
    .title = "The destination refused the request",
    .hint = "The text holds its answer: often a quota, a policy or a wrong option.",
};
const struct fault FAULT_PREFLIGHT_FAILED = {
    .code = "preflight_failed",
    .retry = RETRY_NEVER,
    .http_status = 422,
    .title = "The migration would fail",
    .hint = "All that would fail is listed; mend it, then retry.",
};
const struct fault FAULT_SERVER_EXISTS = {
    .code = "server_exists",
    .retry = RETRY_NEVER,
    .http_status = 409,
    .title = "A server of this name is at the destination",
    .hint = "Choose another name for the server, or remove the one that is there.",
};
const struct fault FAULT_SERVER_FAILED = {
    .code = "server_failed",
    .retry = RETRY_NEVER,
    .http_status = 502,
    .title = "The destination could not build the server",
    .hint =
        "The text holds its reason: often no host with room, or a volume that cannot be attached.",
};
const struct fault FAULT_DIGEST_MISMATCH = {
    .code = "digest_mismatch",
    .retry = RETRY_AGAIN,
    .http_status = 500,
    .title = "What arrived is not what was sent",
    .hint = "Check memory, disks and network on the way; a retry copies it again.",
};
const struct fault FAULT_BOOT_FAILED = {
    .code = "boot_failed",
    .retry = RETRY_NEVER,
    .http_status = 500,
    .title = "The guest did not come up in time",
    .hint = "See its console in the evidence; it may lack drivers for the new machine.",
};
const struct fault FAULT_COPY_STALLED = {
    .code = "copy_stalled",
    .retry = RETRY_AGAIN,
    .http_status = 504,
    .title = "The source gives no bytes",
    .hint = "Check the source's storage and the network; the copy is tried again.",
};

/* Ordered by code: fault_find searches by halves. */
const struct fault *const fault_table[] = {
    &FAULT_ADDRESS_IN_USE,
    &FAULT_ADDRESS_NOT_ALLOWED,
    &FAULT_ADDRESS_OUTSIDE,
    &FAULT_ARCHIVE_INVALID,
    &FAULT_ATTEMPTS_SPENT,
    &FAULT_BODY_INVALID,
    &FAULT_BOOT_FAILED,
    &FAULT_CANCELLED,
    &FAULT_CONFIG,
    &FAULT_CONFLICT,
    &FAULT_COPY_STALLED,
    &FAULT_DB_DEADLOCK,
    &FAULT_DB_DUPLICATE,
    &FAULT_DB_READ_ONLY,
    &FAULT_DB_UNAVAILABLE,
    &FAULT_DENIED,
    &FAULT_DESTINATION_CREDENTIALS,
    &FAULT_DESTINATION_REFUSED,
    &FAULT_DESTINATION_UNREACHABLE,
    &FAULT_DIGEST_MISMATCH,
    &FAULT_DISK_INVALID,
    &FAULT_DISK_MISSING,
    &FAULT_DISK_UNSUPPORTED,
    &FAULT_DRIVER_UNKNOWN,
    &FAULT_FENCED,
    &FAULT_FIELDS_INVALID,
    &FAULT_FLAVOR_NOT_FOUND,
    &FAULT_FLAVOR_TOO_SMALL,
    &FAULT_FORBIDDEN,
    &FAULT_IMAGE_FORMAT_REFUSED,
    &FAULT_IN_USE,
    &FAULT_INTERNAL,
    &FAULT_INVALID,
    &FAULT_IO,
    &FAULT_KEYPAIR_NOT_FOUND,
    &FAULT_KEYSTONE_UNAVAILABLE,
    &FAULT_LEDGER_OPEN,
    &FAULT_MAC_IN_USE,
    &FAULT_MANIFEST_MISMATCH,
    &FAULT_MESSAGE_POISON,
    &FAULT_METHOD_NOT_ALLOWED,
    &FAULT_NAME_AMBIGUOUS,
    &FAULT_NAME_TAKEN,
    &FAULT_NETWORK_NOT_FOUND,
    &FAULT_NETWORK_UNUSABLE,
    &FAULT_NO_SPACE,
    &FAULT_NODE_LOST,
    &FAULT_NODE_NAME_TAKEN,
    &FAULT_NODE_REFUSED,
    &FAULT_NOT_FOUND,
    &FAULT_OVER_LIMIT,
    &FAULT_PATH_OUTSIDE,
    &FAULT_PREFLIGHT_FAILED,
    &FAULT_QUOTA_EXCEEDED,
    &FAULT_SEAL_INVALID,
    &FAULT_SECRETS_NEEDED,
    &FAULT_SECURITY_GROUP_NOT_FOUND,
    &FAULT_SERVER_EXISTS,
    &FAULT_SERVER_FAILED,
    &FAULT_SERVER_NAME_INVALID,
    &FAULT_SERVICE_MISSING,
    &FAULT_SOURCE_CHANGED,
    &FAULT_SOURCE_CREDENTIALS,
    &FAULT_SOURCE_UNREACHABLE,
    &FAULT_STATE_FORBIDS,
    &FAULT_STOPPED,
    &FAULT_TIMEOUT,
    &FAULT_TOO_LARGE,
    &FAULT_UNAUTHENTICATED,
    &FAULT_UNAVAILABLE,
    &FAULT_UNCERTAIN,
    &FAULT_UNSUPPORTED,
    &FAULT_VERSION_UNSUPPORTED,
    &FAULT_VM_CHANGED,
    &FAULT_VM_CONFIG_INVALID,
    &FAULT_VM_ENCRYPTED,
    &FAULT_VM_GONE,
    &FAULT_VM_LOCKED,
    &FAULT_VM_RUNNING,
    &FAULT_VM_SUSPENDED,
    &FAULT_VOLUME_TYPE_NOT_FOUND,
    &FAULT_WORKER_CRASHED,
    &FAULT_WORKER_STALLED,
    &FAULT_ZONE_NOT_FOUND,
};
const size_t fault_table_count = COUNT_OF(fault_table);

static int code_compare(const void *code, const void *entry)
{
    const struct fault *const *fault = entry;

    return strcmp(code, (*fault)->code);
}

const struct fault *fault_find(const char *code)
{
    const struct fault *const *found;

    if (!code)
        return NULL;
    found = bsearch(code, fault_table, fault_table_count, sizeof(fault_table[0]), code_compare);
    return found ? *found : NULL;
}

const struct fault *fault_get(const char *code)
{
    const struct fault *fault = fault_find(code);

    return fault ? fault : &FAULT_INTERNAL;
}
