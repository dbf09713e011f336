/* SPDX-License-Identifier: Apache-2.0
 *
 * How often to look at what somebody else brings about. A thousand machines that wait ask the very services that
 * build them: a look that took long says that they are busy, and is paid back with four times as long a pause; and
 * nobody minds being told of the end a sixteenth later.
 */
#include "common/base/clock.h"
#include "migration/destination/openstack_inner.h"

#define PAUSE_LEAST_MS 250u
#define PAUSE_MOST_MS 5000u

uint64_t openstack_pause_ms(uint64_t waited_ms, uint64_t look_ms)
{
    uint64_t pause_ms = waited_ms / 16;
    if (look_ms > pause_ms / 4)
        pause_ms = look_ms < PAUSE_MOST_MS ? look_ms * 4 : PAUSE_MOST_MS;
    if (pause_ms < PAUSE_LEAST_MS)
        return PAUSE_LEAST_MS;
    return pause_ms < PAUSE_MOST_MS ? pause_ms : PAUSE_MOST_MS;
}

void openstack_pace_begin(struct openstack_pace *pace)
{
    pace->from_ms = pace->looked_ms = clock_mono_ms();
}

bool openstack_pace_wait(struct openstack *self, struct openstack_pace *pace, struct error *err)
{
    uint64_t now_ms = clock_mono_ms();
    uint64_t pause_ms = openstack_pause_ms(now_ms - pace->from_ms, now_ms - pace->looked_ms);
    bool good = work_wait_ms(self->work, pause_ms, err);
    pace->looked_ms = clock_mono_ms();
    return good;
}
