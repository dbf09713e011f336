/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/crashpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NAME_SIZE 200
#define LINE_SIZE 512

static int directory_fd = -1, trace_fd = -1;
static char process_name[32];

const char *crashpoint_directory(void)
{
    return getenv(CRASHPOINT_ENVIRONMENT);
}

void crashpoint_open(const char *process)
{
    const char *path = crashpoint_directory();
    size_t prefix = strlen("guts-");
    if (!path)
        return;
    if (strncmp(process, "guts-", prefix) == 0)
        process += prefix;
    snprintf(process_name, sizeof(process_name), "%s", process);
    directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0) {
        fprintf(stderr, "crash points: \"%s\": %s\n", path, strerror(errno));
        _exit(1);
    }
    trace_fd = openat(directory_fd, "trace", O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* A name is a file's name: what does not belong into one is "_". Details count from their last dot,
 * so that messages are known without their package. */
static void make_name(const char *point, va_list details, char ret_name[NAME_SIZE])
{
    size_t length = (size_t)snprintf(ret_name, NAME_SIZE, "%s.%s", process_name, point);
    const char *detail;
    while ((detail = va_arg(details, const char *)) && length < NAME_SIZE - 1) {
        const char *dot = strrchr(detail, '.');
        length +=
            (size_t)snprintf(ret_name + length, NAME_SIZE - length, ":%s", dot ? dot + 1 : detail);
    }
    for (char *at = ret_name; *at; at++) {
        if (*at == '/' || *at == ' ' || *at == '\n')
            *at = '_';
    }
}

static void write_line(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "crash points: %s\n", strerror(errno));
}

/* "NAME PASSES ACTION": the file appears whole. */
static void arm(char *text)
{
    char draft[NAME_SIZE + 8], *rest = strchr(text, ' ');
    if (!rest)
        return;
    *rest++ = '\0';
    snprintf(draft, sizeof(draft), "%s.draft", text);
    int fd = openat(directory_fd, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    write_line(fd, rest);
    close(fd);
    renameat(directory_fd, draft, directory_fd, text);
}

static void act(const char *name, char *action)
{
    fprintf(stderr, "crash point %s: %s\n", name, action);
    if (strncmp(action, "arm ", 4) == 0)
        arm(action + 4);
    else
        kill(getpid(), strcmp(action, "stop") == 0 ? SIGSTOP : SIGKILL);
}

/* Counts the pass; true when this is the one, with its action. The file is locked by the caller. */
static bool count_pass(int fd, const char *name, char line[LINE_SIZE], char **ret_action)
{
    char fired[NAME_SIZE + 8], who[32];
    ssize_t length = pread(fd, line, LINE_SIZE - 1, 0);
    if (length <= 0)
        return false;
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    unsigned long passes = strtoul(line, ret_action, 10);
    *ret_action += strspn(*ret_action, " ");
    if (passes > 1) {
        char rest[LINE_SIZE];
        int size = snprintf(rest, sizeof(rest), "%lu %s\n", passes - 1, *ret_action);
        if (ftruncate(fd, 0) != 0 || pwrite(fd, rest, (size_t)size, 0) < 0)
            fprintf(stderr, "crash points: %s\n", strerror(errno));
        return false;
    }
    snprintf(fired, sizeof(fired), "%s.fired", name);
    if (renameat(directory_fd, name, directory_fd, fired) != 0)
        return false; /* another was first */
    snprintf(who, sizeof(who), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, who, strlen(who), 0) < 0)
        return false;
    return true;
}

static void pass(const char *name)
{
    char line[LINE_SIZE], *action = NULL;
    int fd = openat(directory_fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    bool is_due = flock(fd, LOCK_EX) == 0 && count_pass(fd, name, line, &action);
    close(fd);
    if (is_due)
        act(name, action);
}

void crashpoint_at(const char *point, ...)
{
    char name[NAME_SIZE];
    int number = errno;
    va_list details;
    if (directory_fd < 0)
        return;
    va_start(details, point);
    make_name(point, details, name);
    va_end(details);
    if (trace_fd >= 0) {
        char text[NAME_SIZE + 1];
        snprintf(text, sizeof(text), "%s\n", name);
        write_line(trace_fd, text);
    }
    pass(name);
    errno = number;
}
