/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading XML of others, hardened, and looking around in it; ovf.c and ovf_hardware.c stand on it.
 *
 * Threads: each document by one thread.
 */
#ifndef GUTS_MIGRATION_SOURCE_OVF_XML_H
#define GUTS_MIGRATION_SOURCE_OVF_XML_H

#include <libxml/tree.h>

#include "common/base/error.h"
#include "common/base/memory.h"

/* Refuses document types (and so entities), network, depth beyond 256. FAULT_VM_CONFIG_INVALID. */
bool ovf_xml_read(const char *data, size_t length, xmlDoc **ret_document,
                  struct error *err) MUST_CHECK;
bool ovf_xml_is(const xmlNode *node, const char *name); /* an element of that local name */
/* The first child element of the name, or, given a child, the next one; NULL at the end. */
xmlNode *ovf_xml_child(const xmlNode *parent, const char *name);
xmlNode *ovf_xml_next(const xmlNode *node, const char *name);
/* Of an attribute, whatever its namespace; NULL when there is none. */
const char *ovf_xml_attribute(const xmlNode *node, const char *name, struct arena *arena);
/* All text within; NULL when node is NULL. */
const char *ovf_xml_text(const xmlNode *node, struct arena *arena);
const char *ovf_xml_child_text(const xmlNode *parent, const char *name, struct arena *arena);

#endif
