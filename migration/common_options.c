/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/common_options.h"

#include "common/base/memory.h"

const struct setting common_options[] = {
    {OPTION_STOP_SOURCE, SETTING_BOOLEAN, false, false, false, "false",
     "stop the vm at its source where it runs and the source can do it"},
};
const size_t common_option_count = COUNT_OF(common_options);
