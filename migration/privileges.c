/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/child.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (1ull << (capability))

/* Opening and naming files of others, and giving them away: nothing else. */
static const uint64_t kept =
    BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) | BIT(CAP_CHOWN);

bool child_drop_privileges(struct error *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0)
        return error_set_errno(err, errno, "reading capabilities");
    uint64_t permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    if (permitted & BIT(CAP_SETPCAP)) {
        for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) {
            if (!(kept & BIT(capability)) && prctl(PR_CAPBSET_DROP, capability) != 0)
                return error_set_errno(err, errno, "dropping capability %d", capability);
        }
    }
    uint64_t left = permitted & kept;
    for (int word = 0; word < 2; word++) {
        data[word].permitted = data[word].effective = (uint32_t)(left >> (32 * word));
        data[word].inheritable = 0;
    }
    if (syscall(SYS_capset, &head, data) != 0)
        return error_set_errno(err, errno, "dropping capabilities");
    return true;
}
