/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of clouds: whatever it says, it becomes a tree or a fault.
 *
 * sources: common/openstack/tree.c
 * packages: jansson yaml-0.1
 */
#include "common/openstack/tree.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    json_t *tree = NULL;
    if (!tree_parse((const char *)data, size, &tree, &err))
        return err.fault == NULL || tree != NULL ? (abort(), 0) : 0;
    json_decref(tree);
    return 0;
}
