/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/memory.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

bool lease_page_new(struct lease_page **ret_page, int *ret_fd, struct error *err)
{
    CLEANUP(fd_closep) int fd = memfd_create("guts-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, sizeof(struct lease_page)) != 0)
        return error_set_errno(err, errno, "making the lease page");
    void *page = mmap(NULL, sizeof(struct lease_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return error_set_errno(err, errno, "mapping the lease page");
    /* From here on nobody else can map it for writing. */
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)) {
        int number = errno;
        munmap(page, sizeof(struct lease_page));
        return error_set_errno(err, number, "sealing the lease page");
    }
    *ret_page = page;
    atomic_store(&(*ret_page)->wanted, WANTED_GO);
    *ret_fd = fd;
    fd = -1;
    return true;
}

bool lease_page_map(int fd, const struct lease_page **ret_page, struct error *err)
{
    void *page = mmap(NULL, sizeof(struct lease_page), PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return error_set_errno(err, errno, "mapping the lease page");
    *ret_page = page;
    return true;
}

void lease_page_free(const struct lease_page *page)
{
    if (page)
        munmap((void *)page, sizeof(*page));
}

bool lease_holds(const struct lease_page *page, uint64_t now_ms)
{
    return now_ms < atomic_load(&page->until_ms);
}

void lease_extend(struct lease_page *page, uint64_t until_ms)
{
    if (until_ms > atomic_load(&page->until_ms))
        atomic_store(&page->until_ms, until_ms);
}

void lease_want(struct lease_page *page, enum wanted wanted)
{
    if ((uint32_t)wanted > atomic_load(&page->wanted))
        atomic_store(&page->wanted, (uint32_t)wanted);
}

enum wanted lease_wanted(const struct lease_page *page)
{
    return (enum wanted)atomic_load(&page->wanted);
}

uint64_t lease_rate(const struct lease_page *page, uint64_t now_ms)
{
    uint64_t until = atomic_load(&page->limit_until_ms);
    return until != 0 && now_ms >= until ? 0 : atomic_load(&page->bytes_per_second);
}

void lease_clock_sent(struct lease_clock *clock, uint64_t report, uint64_t now_ms)
{
    clock->numbers[report % LEASE_CLOCK_REPORTS] = report;
    clock->sent_ms[report % LEASE_CLOCK_REPORTS] = now_ms;
}

bool lease_clock_find(const struct lease_clock *clock, uint64_t report, uint64_t *ret_sent_ms)
{
    if (report == 0 || clock->numbers[report % LEASE_CLOCK_REPORTS] != report)
        return false;
    *ret_sent_ms = clock->sent_ms[report % LEASE_CLOCK_REPORTS];
    return true;
}
