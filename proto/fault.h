/* SPDX-License-Identifier: Apache-2.0
 *
 * The closed list of faults: every code that a person, a log line, a metric, an API answer or a
 * stored row can show. A fault that is in no table here does not exist; a unit test holds the table,
 * the documentation and the code together.
 *
 * Threads: constant data.
 */
#ifndef GUTS_PROTO_FAULT_H
#define GUTS_PROTO_FAULT_H

#include <stddef.h>

#include "common/base/error.h"

/* Requests */
extern const struct fault FAULT_UNAUTHENTICATED; /* no token, or one that is unknown or expired */
extern const struct fault FAULT_FORBIDDEN;       /* the role does not allow it */
extern const struct fault FAULT_KEYSTONE_UNAVAILABLE; /* a token cannot be looked up at present */
extern const struct fault FAULT_METHOD_NOT_ALLOWED;
extern const struct fault FAULT_BODY_INVALID;   /* not JSON, or not an object */
extern const struct fault FAULT_FIELDS_INVALID; /* "errors" lists each with its pointer */
extern const struct fault FAULT_NAME_TAKEN;     /* a source or destination has the name */
extern const struct fault FAULT_NAME_AMBIGUOUS; /* several things carry the name: use the id */
extern const struct fault FAULT_IN_USE;         /* something refers to it */
extern const struct fault FAULT_DRIVER_UNKNOWN; /* no node has declared such a driver */
extern const struct fault FAULT_SECRETS_NEEDED; /* the address changed: give the secrets again */
extern const struct fault FAULT_STATE_FORBIDS;  /* the lifecycle table forbids it now */
extern const struct fault FAULT_LEDGER_OPEN;    /* entries of the ledger are not yet settled */
extern const struct fault FAULT_VM_GONE;        /* the last discovery no longer saw the vm */

/* Placement and life */
extern const struct fault FAULT_NODE_NAME_TAKEN;     /* a second node id under a live name */
extern const struct fault FAULT_NODE_REFUSED;        /* the node would not take the job */
extern const struct fault FAULT_NODE_LOST;           /* not heard of for the takeover time */
extern const struct fault FAULT_FENCED;              /* the attempt is no longer the current one */
extern const struct fault FAULT_STOPPED;             /* the answer to a ledger write: cancel */
extern const struct fault FAULT_WORKER_CRASHED;      /* with its signal and its last lines */
extern const struct fault FAULT_WORKER_STALLED;      /* no progress for the configured time */
extern const struct fault FAULT_ATTEMPTS_SPENT;      /* too many attempts */
extern const struct fault FAULT_MESSAGE_POISON;      /* a message that cannot be understood */
extern const struct fault FAULT_VERSION_UNSUPPORTED; /* a peer of another contract version */

/* Sources */
extern const struct fault FAULT_SOURCE_UNREACHABLE;
extern const struct fault FAULT_SOURCE_CREDENTIALS;
extern const struct fault FAULT_VM_RUNNING;
extern const struct fault FAULT_VM_SUSPENDED;
extern const struct fault FAULT_VM_LOCKED;         /* another program holds the machine */
extern const struct fault FAULT_VM_CONFIG_INVALID; /* its description cannot be understood */
extern const struct fault FAULT_VM_ENCRYPTED;
extern const struct fault FAULT_DISK_MISSING;
extern const struct fault FAULT_DISK_INVALID;        /* truncated, cyclic, absurd: says what */
extern const struct fault FAULT_DISK_UNSUPPORTED;    /* a kind that we do not read */
extern const struct fault FAULT_PATH_OUTSIDE;        /* leaves the roots of the node */
extern const struct fault FAULT_ADDRESS_NOT_ALLOWED; /* a URL beyond the node's allow list */
extern const struct fault FAULT_VM_CHANGED;          /* its description is out of date */
extern const struct fault FAULT_SOURCE_CHANGED;      /* it is no longer what was being read */
extern const struct fault FAULT_MANIFEST_MISMATCH;   /* an OVF digest does not fit its file */
extern const struct fault FAULT_ARCHIVE_INVALID;     /* a tar with paths or sizes that we refuse */
extern const struct fault FAULT_SEAL_INVALID;        /* secrets were sealed for something else */

/* Destinations */
extern const struct fault FAULT_DESTINATION_UNREACHABLE;
extern const struct fault FAULT_DESTINATION_CREDENTIALS;
extern const struct fault FAULT_DESTINATION_REFUSED;
extern const struct fault FAULT_PREFLIGHT_FAILED; /* lists all that would fail */
extern const struct fault FAULT_SERVER_EXISTS;    /* the name is taken at the destination */
extern const struct fault FAULT_SERVER_FAILED;    /* the destination could not build it */
extern const struct fault FAULT_DIGEST_MISMATCH;  /* what arrived is not what was sent */
extern const struct fault FAULT_BOOT_FAILED;      /* the guest did not come up in time */
extern const struct fault FAULT_COPY_STALLED;     /* the source gives no bytes */

/* Found by a look at the destination, before anything is made there (fault_preflight.c) */
extern const struct fault FAULT_FLAVOR_NOT_FOUND;
extern const struct fault FAULT_FLAVOR_TOO_SMALL;
extern const struct fault FAULT_NETWORK_NOT_FOUND;
extern const struct fault FAULT_NETWORK_UNUSABLE;
extern const struct fault FAULT_ADDRESS_OUTSIDE;
extern const struct fault FAULT_ADDRESS_IN_USE;
extern const struct fault FAULT_MAC_IN_USE;
extern const struct fault FAULT_VOLUME_TYPE_NOT_FOUND;
extern const struct fault FAULT_KEYPAIR_NOT_FOUND;
extern const struct fault FAULT_SECURITY_GROUP_NOT_FOUND;
extern const struct fault FAULT_ZONE_NOT_FOUND;
extern const struct fault FAULT_IMAGE_FORMAT_REFUSED;
extern const struct fault FAULT_SERVICE_MISSING;
extern const struct fault FAULT_SERVER_NAME_INVALID;

/* All faults, base and database ones included, ordered by code. */
extern const struct fault *const fault_table[];
extern const size_t fault_table_count;
const struct fault *fault_find(const char *code); /* NULL when unknown */
/* For codes from other daemons: an unknown one becomes FAULT_INTERNAL. */
const struct fault *fault_get(const char *code);

#endif
