/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/confine_filter.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "migration/confine.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define X32_FIRST 0x40000000u
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

#define AT_NUMBER offsetof(struct seccomp_data, nr)
#define AT_ARCHITECTURE offsetof(struct seccomp_data, arch)
/* The low half of an argument: both machines are little-endian, and the kernel reads no more of it. */
#define AT_ARGUMENT(index) (offsetof(struct seccomp_data, args) + 8 * (index))
#define NAMESPACES                                                                                 \
    (CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER |  \
     CLONE_NEWUTS)

/* LeakSanitizer looks at its own process by ptrace. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED false
#endif

static const int refused[] = {
#if !SANITIZED
    SYS_ptrace,
#endif
#if defined(__x86_64__)
    SYS_ioperm,
    SYS_iopl,
    SYS_uselib,
    SYS_ustat,
    SYS_modify_ldt,
#endif
    SYS_acct,
    SYS_add_key,
    SYS_adjtimex,
    SYS_bpf,
    SYS_chroot,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_fanotify_init,
    SYS_finit_module,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_init_module,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_kcmp,
    SYS_kexec_file_load,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_lookup_dcookie,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_name_to_handle_at,
    SYS_nfsservctl,
    SYS_open_by_handle_at, /* passes by every confinement of paths */
    SYS_open_tree,
    SYS_perf_event_open,
    SYS_pidfd_getfd,
    SYS_pivot_root,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_reboot,
    SYS_request_key,
    SYS_setdomainname,
    SYS_sethostname,
    SYS_setns,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_umount2,
    SYS_unshare,
    SYS_userfaultfd,
    SYS_vhangup,
};

static void put(struct confine_filter *filter, struct sock_filter line)
{
    assert(filter->count < CONFINE_FILTER_MOST);
    filter->code[filter->count++] = line;
}

static void load(struct confine_filter *filter, size_t offset)
{
    put(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct confine_filter *filter, uint32_t verdict)
{
    put(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

/* Skips the `lines` that follow unless (or when) the loaded value compares so. */
static void unless(struct confine_filter *filter, uint16_t comparison, uint32_t value,
                   uint8_t lines)
{
    put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | comparison | BPF_K, value, 0, lines));
}

static void when(struct confine_filter *filter, uint16_t comparison, uint32_t value, uint8_t lines)
{
    put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | comparison | BPF_K, value, lines, 0));
}

static void refuse(struct confine_filter *filter, int number, int code)
{
    unless(filter, BPF_JEQ, (uint32_t)number, 1);
    answer(filter, SECCOMP_RET_ERRNO | (uint32_t)code);
}

static void judge_sockets(struct confine_filter *filter, unsigned flags)
{
    static const int outside[] = {AF_INET, AF_INET6, AF_NETLINK};
    size_t more = flags & CONFINE_NETWORK ? COUNT_OF(outside) : 0;
    unless(filter, BPF_JEQ, SYS_socket, (uint8_t)(more + 4));
    load(filter, AT_ARGUMENT(0));
    when(filter, BPF_JEQ, AF_UNIX, (uint8_t)(more + 1));
    for (size_t i = 0; i < more; i++)
        when(filter, BPF_JEQ, (uint32_t)outside[i], (uint8_t)(more - i));
    answer(filter, SECCOMP_RET_ERRNO | EACCES);
    answer(filter, SECCOMP_RET_ALLOW);
}

static void judge_processes(struct confine_filter *filter, unsigned flags)
{
    bool threads_only = (flags & CONFINE_NO_CHILDREN) != 0;
    /* Its flags lie in memory, where no filter looks: the C library then takes clone. */
    refuse(filter, SYS_clone3, ENOSYS);
#if defined(__x86_64__)
    if (threads_only) {
        refuse(filter, SYS_fork, EPERM);
        refuse(filter, SYS_vfork, EPERM);
    }
#endif
    unless(filter, BPF_JEQ, SYS_clone, threads_only ? 6 : 4);
    load(filter, AT_ARGUMENT(0));
    if (threads_only) {
        when(filter, BPF_JSET, CLONE_THREAD, 1);
        answer(filter, SECCOMP_RET_ERRNO | EPERM);
    }
    unless(filter, BPF_JSET, NAMESPACES, 1);
    answer(filter, SECCOMP_RET_ERRNO | EPERM);
    answer(filter, SECCOMP_RET_ALLOW);
}

/* Typing into the terminal that somebody started the daemon from. */
static void judge_terminals(struct confine_filter *filter)
{
    unless(filter, BPF_JEQ, SYS_ioctl, 4);
    load(filter, AT_ARGUMENT(1));
    unless(filter, BPF_JEQ, TIOCSTI, 1);
    answer(filter, SECCOMP_RET_ERRNO | EPERM);
    answer(filter, SECCOMP_RET_ALLOW);
}

void confine_filter_make(struct confine_filter *filter, unsigned flags)
{
    filter->count = 0;
    if (!confine_filter_possible())
        return;
    load(filter, AT_ARCHITECTURE);
    when(filter, BPF_JEQ, ARCHITECTURE, 1);
    answer(filter, SECCOMP_RET_KILL_PROCESS);
    load(filter, AT_NUMBER);
#if defined(X32_FIRST)
    unless(filter, BPF_JGE, X32_FIRST, 1);
    answer(filter, SECCOMP_RET_ERRNO | ENOSYS);
#endif
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        refuse(filter, refused[i], EPERM);
    judge_sockets(filter, flags);
    judge_processes(filter, flags);
    judge_terminals(filter);
    answer(filter, SECCOMP_RET_ALLOW);
}

int confine_filter_enter(const struct confine_filter *filter)
{
    struct sock_fprog program = {.len = (unsigned short)filter->count,
                                 .filter = (struct sock_filter *)(uintptr_t)filter->code};
    if (filter->count == 0)
        return 0;
    long entered =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    return entered == 0 ? 0 : entered < 0 ? errno : EBUSY; /* a thread that cannot follow */
}

bool confine_filter_possible(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return ARCHITECTURE != 0 && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}
