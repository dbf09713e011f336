/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

bool prompt_secret(const char *name, struct secret **ret_secret, struct error *err)
{
    char line[4096];
    struct termios before, silent;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        fprintf(stderr, "%s: ", name);
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    bool read = fgets(line, sizeof(line), stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (!read)
        return error_set(err, &FAULT_INVALID, "no value was given");
    if (strlen(line) == sizeof(line) - 1 && strchr(line, '\n') == NULL) {
        secret_wipe(line, sizeof(line));
        return error_set(err, &FAULT_TOO_LARGE, "a typed value has %zu bytes at most; use =@FILE",
                         sizeof(line) - 2);
    }
    line[strcspn(line, "\r\n")] = '\0';
    *ret_secret = secret_new(line, strlen(line));
    secret_wipe(line, sizeof(line));
    return true;
}
