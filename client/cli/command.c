/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/command.h"

#include <stdint.h>
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

/* -- what was meant ------------------------------------------------------------------------------ */

#define TYPED_SIZE 64

/* How many letters must be added, dropped, changed or swapped with a neighbour to make b of a. Both are
 * shorter than TYPED_SIZE. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][TYPED_SIZE + 1], width = strlen(b);
    size_t *before = rows[0], *last = rows[1], *here = rows[2];
    for (size_t j = 0; j <= width; j++)
        last[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        here[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t least = last[j - 1] + (a[i - 1] != b[j - 1]);
            least = last[j] + 1 < least ? last[j] + 1 : least;
            least = here[j - 1] + 1 < least ? here[j - 1] + 1 : least;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < least)
                least = before[j - 2] + 1;
            here[j] = least;
        }
        size_t *oldest = before;
        before = last;
        last = here;
        here = oldest;
    }
    return last[width];
}

/* As many of the words as the name has, parted by blanks alone; false when there are fewer, or they are
 * longer than any name. */
static bool join(const char *name, char *const *words, size_t count, bool swapped,
                 char ret_typed[TYPED_SIZE])
{
    size_t length = 0, parts = 1;
    char whole[TYPED_SIZE];
    for (const char *p = name; *p != '\0'; p++)
        parts += *p == ' ';
    if (swapped && (parts != 2 || count < 2))
        return false;
    whole[0] = '\0';
    for (size_t i = 0; i < count && i < parts; i++) {
        const char *word = words[swapped ? 1 - i : i];
        if (length + strlen(word) + 2 > sizeof(whole))
            return false;
        length += (size_t)sprintf(whole + length, "%s%s", i > 0 ? " " : "", word);
    }
    size_t at = 0;
    for (; whole[at] != '\0'; at++) {
        bool parts_words = whole[at] == ' ' || (whole[at] == '-' && at > 0);
        if (parts_words && --parts == 0)
            break;
        ret_typed[at] = parts_words ? ' ' : whole[at];
    }
    ret_typed[at] = '\0';
    return at > 0;
}

/* More than a third of a name is another word. */
static size_t far(const char *name)
{
    size_t third = strlen(name) / 3;
    return third < 1 ? 2 : third > 3 ? 4 : third + 1;
}

const struct command *command_nearest(char *const *words, size_t count)
{
    const struct command *best = NULL;
    size_t least = SIZE_MAX;
    for (size_t at = 0; at < 2 * command_group_count; at++) {
        const struct command_group *group = command_groups[at / 2];
        for (size_t i = 0; i < group->count; i++) {
            char typed[TYPED_SIZE];
            const char *name = group->commands[i].name;
            if (!join(name, words, count, at % 2 == 1, typed))
                continue;
            size_t off = distance(typed, name) + at % 2;
            if (off >= far(name) || off >= least)
                continue;
            least = off;
            best = &group->commands[i];
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
