/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a .vmx file: `key = "value"` lines in a character set that the file itself names
 * (`.encoding`), keys without regard to case, values with |22 for characters that would end them.
 * Knows nothing of what keys mean (source/vmx_vm.h does). Hostile input: every size is bounded.
 *
 * Threads: constant after parsing; everything lives in the arena.
 */
#ifndef GUTS_MIGRATION_SOURCE_VMX_H
#define GUTS_MIGRATION_SOURCE_VMX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"

#define VMX_BYTES_MOST (1u << 20)
#define VMX_LINES_MOST 16384

struct vmx;
/* FAULT_VM_CONFIG_INVALID: the character set is unknown or does not fit, there is no key at all, a
 * key stands twice with different values, or a line is neither empty, comment nor an assignment. */
bool vmx_parse(const char *data, size_t length, struct arena *arena, struct vmx **ret_vmx,
               struct error *err) MUST_CHECK;
/* The value in UTF-8, or NULL; an empty value is given as "". */
const char *vmx_find(const struct vmx *vmx, const char *key);
/* The same for a key that is put together: vmx_findf(vmx, "scsi%u:%u.fileName", 0, 1). */
const char *vmx_findf(const struct vmx *vmx, const char *format, ...) PRINTF_LIKE(2, 3);
bool vmx_is_true(const char *value, bool standard); /* "TRUE", "true", "1", "yes"; NULL: standard */
bool vmx_has_prefix(const struct vmx *vmx, const char *prefix); /* any key that starts so */

#endif
