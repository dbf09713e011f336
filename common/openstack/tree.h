/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading YAML: files of settings, as trees of jansson in which each scalar is a string, but
 * for null. Anchors, aliases and merge keys ("<<") are understood; nothing is expanded, so that a small
 * file stays a small tree.
 *
 * Threads: any.
 */
#ifndef GUTS_COMMON_OPENSTACK_TREE_H
#define GUTS_COMMON_OPENSTACK_TREE_H

#include <jansson.h>
#include <stddef.h>

#include "common/base/error.h"

#define TREE_MOST_BYTES (1u << 20)
#define TREE_DEPTH_MOST 16

/* One document of at most TREE_MOST_BYTES; an empty one is an empty object. FAULT_CONFIG names the line;
 * FAULT_TOO_LARGE. */
bool tree_parse(const char *text, size_t length, json_t **ret_tree, struct error *err) MUST_CHECK;

#endif
