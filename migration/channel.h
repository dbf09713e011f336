/* SPDX-License-Identifier: Apache-2.0
 *
 * The channel between the daemon and one worker: a Unix socket that keeps message boundaries
 * (SOCK_SEQPACKET). A frame is one byte of kind and a payload, most often a packed message of
 * guts.v1. It never blocks: levels (the status) are sent again by themselves, and the others are
 * repeated by the worker until they are answered.
 *
 * Threads: sending is safe from any; receiving by one.
 */
#ifndef GUTS_MIGRATION_CHANNEL_H
#define GUTS_MIGRATION_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"

/* Below what a Unix socket takes in one piece with Linux's default buffers (212,992 bytes). */
#define CHANNEL_FRAME_MOST_BYTES (192u << 10)

enum channel_kind {
    /* daemon → worker */
    CHANNEL_HANDOVER = 1, /* JSON: where the job lies and what the worker may do (handover.h) */
    CHANNEL_LEDGER_ANSWER = 2, /* packed LedgerAnswer */
    CHANNEL_PAGE_TAKEN = 3,    /* 4 bytes: the broker has confirmed the page of that number */
    CHANNEL_WAKE = 4,          /* look at the lease page now */
    /* worker → daemon */
    CHANNEL_STATUS = 16,       /* packed JobReport; sent only when something moved */
    CHANNEL_LEDGER_WRITE = 17, /* packed LedgerWrite, without the node's names */
    CHANNEL_INVENTORY = 18,    /* packed InventoryPage */
    CHANNEL_CATALOG = 19,      /* packed CatalogPage */
    CHANNEL_FINISHED = 20,     /* packed JobResult; it stands in the journal too where it could */
};

bool channel_pair(int ret_fds[2], struct error *err) MUST_CHECK; /* both close-on-exec */
/* FAULT_UNAVAILABLE when the other side's buffer is full, FAULT_IO when it is gone. */
bool channel_send(int fd, enum channel_kind kind, const void *data, size_t length,
                  struct error *err) MUST_CHECK;
/* 1: a frame was put into `frame`, its payload behind the first byte; 0: none now; −1: the other
 * side is gone. */
int channel_receive(int fd, struct buffer *frame);

#endif
