# SPDX-License-Identifier: Apache-2.0
"""The lab's lease and takeover time, in seconds, and how long faults last."""
LEASE, TAKEOVER = 4, 8
CLOUD_TAKEOVER = 12  # an answer of a cloud takes its time


def stretch(takeover):
    """For all that follows; others read it as spans.TAKEOVER."""
    global TAKEOVER
    TAKEOVER = takeover


def length(chance):
    """Short ones, ones longer than a lease, ones longer than the takeover time."""
    return chance.choice([chance.uniform(0.2, 2), chance.uniform(LEASE, LEASE + 3),
                          chance.uniform(TAKEOVER + 1, TAKEOVER + 6)])
