/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static struct {
    bool stands;
    uint64_t mono_us;
    uint64_t wall_us;
} fake;

static uint64_t clock_read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_mono_us(void)
{
    return fake.stands ? fake.mono_us : clock_read_us(CLOCK_BOOTTIME);
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

uint64_t clock_wall_us(void)
{
    return fake.stands ? fake.wall_us : clock_read_us(CLOCK_REALTIME);
}

void clock_sleep_ms(uint64_t duration_ms)
{
    if (fake.stands) {
        clock_fake_advance(duration_ms);
        return;
    }
    uint64_t until_us = clock_read_us(CLOCK_BOOTTIME) + duration_ms * 1000;
    struct timespec until = {(time_t)(until_us / 1000000), (long)(until_us % 1000000) * 1000};
    while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* Decimal digits of number, right-aligned in `count` characters. */
static void put_digits(char *into, unsigned number, unsigned count)
{
    while (count-- > 0) {
        into[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* By hand: every answer of the API holds several times. */
void clock_format(uint64_t wall_us, char ret_text[CLOCK_TEXT_SIZE])
{
    const uint64_t latest_s = 253402300799; /* the last second of year 9999 */
    time_t seconds = (time_t)(wall_us / 1000000 < latest_s ? wall_us / 1000000 : latest_s);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    memcpy(ret_text, "0000-00-00T00:00:00.000Z", CLOCK_TEXT_SIZE);
    put_digits(ret_text, (unsigned)parts.tm_year + 1900, 4);
    put_digits(ret_text + 5, (unsigned)parts.tm_mon + 1, 2);
    put_digits(ret_text + 8, (unsigned)parts.tm_mday, 2);
    put_digits(ret_text + 11, (unsigned)parts.tm_hour, 2);
    put_digits(ret_text + 14, (unsigned)parts.tm_min, 2);
    put_digits(ret_text + 17, (unsigned)parts.tm_sec, 2);
    put_digits(ret_text + 20, (unsigned)(wall_us / 1000 % 1000), 3);
}

void clock_fake_begin(uint64_t mono_ms, uint64_t wall_us)
{
    fake.mono_us = mono_ms * 1000;
    fake.wall_us = wall_us;
    fake.stands = true;
}

void clock_fake_advance(uint64_t duration_ms)
{
    fake.mono_us += duration_ms * 1000;
    fake.wall_us += duration_ms * 1000;
}

void clock_fake_end(void)
{
    fake.stands = false;
}

uint64_t clock_backoff_ms(unsigned count, uint64_t first_ms, uint64_t longest_ms)
{
    uint64_t ceiling_ms = first_ms;
    while (count-- > 0 && ceiling_ms > 0 && ceiling_ms < longest_ms)
        ceiling_ms = ceiling_ms > longest_ms / 2 ? longest_ms : ceiling_ms * 2;
    if (ceiling_ms > longest_ms)
        ceiling_ms = longest_ms;
    uint64_t random = 0;
    if (ceiling_ms <= 1 || getrandom(&random, sizeof(random), 0) != sizeof(random))
        return ceiling_ms;
    return 1 + random % ceiling_ms;
}
