/* SPDX-License-Identifier: Apache-2.0
 *
 * What systemd wants to hear from a service (sd_notify(3), "Standalone implementations"): one
 * datagram to the socket that NOTIFY_SOCKET names. Nothing happens where there is none. Only this
 * room calls it; daemons say daemon_ready and health_beat.
 *
 * Threads: any; the watchdog is one thread's.
 */
#ifndef GUTS_COMMON_DAEMON_NOTIFY_H
#define GUTS_COMMON_DAEMON_NOTIFY_H

/* `state` is "READY=1", "STOPPING=1" or NULL; `status` a line for people, or NULL. */
void notify_send(const char *state, const char *status);
/* Says that the loop turns, at most three times an interval of WATCHDOG_USEC. */
void notify_watchdog(void);

#endif
