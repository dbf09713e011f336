/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"

const struct command_group *const command_groups[] = {
    &migrate_commands, &migration_commands, &source_commands, &destination_commands,
    &vm_commands,      &event_commands,     &node_commands,   &service_commands,
    &driver_commands,  &wish_commands,      &gc_commands,     &shell_commands,
};
const size_t command_group_count = COUNT_OF(command_groups);

/* How many of the words spell the command's name, as "source create" or "source-create"; 0: none. */
static size_t words_of_name(const char *name, char *const *words, size_t count)
{
    size_t used = 0;
    const char *rest = name;
    while (*rest != '\0') {
        if (used == count)
            return 0;
        const char *word = words[used++];
        size_t length = strlen(word);
        for (size_t i = 0; i < length; i++) {
            char wanted = rest[i];
            if (wanted == '\0' || (word[i] != wanted && !(wanted == ' ' && word[i] == '-')))
                return 0;
        }
        rest += length;
        if (*rest == ' ')
            rest++;
        else if (*rest != '\0')
            return 0;
    }
    return used;
}

const struct command *command_find(char *const *words, size_t count, size_t *ret_words)
{
    const struct command *best = NULL;
    size_t best_length = 0;
    for (size_t g = 0; g < command_group_count; g++) {
        for (size_t i = 0; i < command_groups[g]->count; i++) {
            const struct command *command = &command_groups[g]->commands[i];
            size_t used = words_of_name(command->name, words, count);
            if (used > 0 && strlen(command->name) > best_length) {
                best = command;
                best_length = strlen(command->name);
                *ret_words = used;
            }
        }
    }
    return best;
}

static void print_options(const struct option_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s", rows[i].name, rows[i].value != NULL ? " " : "",
                 rows[i].value != NULL ? rows[i].value : "");
        printf("  %-26s %s\n", left, rows[i].help);
    }
}

void command_help(const struct command *command)
{
    printf("usage: guts %s%s%s%s\n\n%s\n", command->name, command->operands[0] != '\0' ? " " : "",
           command->operands, " [option ...]", command->summary);
    if (command->option_count > 0) {
        printf("\noptions:\n");
        print_options(command->options, command->option_count);
    }
    printf("\noptions of every command:\n");
    print_options(common_options, common_option_count);
}

size_t command_list_help(const char *prefix)
{
    size_t shown = 0;
    for (size_t g = 0; g < command_group_count; g++) {
        bool titled = false;
        for (size_t i = 0; i < command_groups[g]->count; i++) {
            const struct command *command = &command_groups[g]->commands[i];
            if (strncmp(command->name, prefix, strlen(prefix)) != 0)
                continue;
            if (!titled)
                printf("%s:\n", command_groups[g]->title);
            titled = true;
            printf("  %-24s %s\n", command->name, command->summary);
            shown++;
        }
    }
    return shown;
}
