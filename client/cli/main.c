/* SPDX-License-Identifier: Apache-2.0
 *
 * guts: the command line. Finds the command and runs it. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/session.h"

static void on_interrupt(int signal)
{
    (void)signal;
    if (interrupted++ > 0)
        _Exit(EXIT_INTERRUPTED);
}

static void usage(FILE *where)
{
    fprintf(where, "usage: guts COMMAND [operand ...] [option ...]\n"
                   "       guts help [COMMAND]\n\n"
                   "Moves virtual machines into OpenStack and plain KVM.\n\n");
}

static int unknown_command(char *const *words, size_t count)
{
    char prefix[64];
    const struct command *nearest = command_nearest(words, count);
    snprintf(prefix, sizeof(prefix), "%s", words[0]);
    fprintf(stderr, "guts: no command \"%s%s%s\"\n", words[0], count > 1 ? " " : "",
            count > 1 ? words[1] : "");
    fflush(stderr);
    if (words[0][0] == '-')
        fprintf(stderr, "options stand behind the command: guts COMMAND %s ...\n", words[0]);
    else if (nearest != NULL)
        fprintf(stderr, "did you mean: guts %s\n", nearest->name);
    else if (command_list_help(prefix) == 0)
        fprintf(stderr, "see: guts help\n");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(argc < 2 ? stderr : stdout);
        if (argc >= 2)
            command_list_help("");
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("guts %s\n", GUTS_VERSION);
        return EXIT_DONE;
    }
    size_t used = 0, count = (size_t)argc - 1;
    const struct command *command = command_find(argv + 1, count, &used);
    if (command == NULL)
        return unknown_command(argv + 1, count);
    int status = session_run(command, argv + 1 + used, count - used);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "guts: cannot write the output: %s\n", strerror(errno));
        return status != EXIT_DONE ? status : EXIT_REFUSED;
    }
    /* EXIT_USAGE: a prompt that Ctrl-C ended has no value. */
    bool ended = interrupted && (status == EXIT_DONE || status == EXIT_USAGE);
    return ended ? EXIT_INTERRUPTED : status;
}
