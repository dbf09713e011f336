/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static const struct option_row *find_row(const struct option_row *rows, size_t count,
                                         const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(rows[i].name) == length && strncmp(rows[i].name, name, length) == 0)
            return &rows[i];
    return NULL;
}

static const struct option_row *find_option(const struct command *command, const char *word)
{
    size_t length = word[1] == '-' ? strcspn(word, "=") : 2; /* "-fjson" and "-f=json" as well */
    const struct option_row *row = find_row(common_options, common_option_count, word, length);
    if (row == NULL && command != NULL)
        row = find_row(command->options, command->option_count, word, length);
    if (row == NULL && length == 2) { /* the short forms that OpenStack's clients have */
        if (strncmp(word, "-f", 2) == 0)
            return find_row(common_options, common_option_count, "--format", 8);
        if (strncmp(word, "-c", 2) == 0)
            return find_row(common_options, common_option_count, "--column", 8);
        if (strncmp(word, "-h", 2) == 0)
            return find_row(common_options, common_option_count, "--help", 6);
    }
    return row;
}

/* Takes the option at words[*position] and its value. */
static bool take_option(const struct command *command, char *const *words, size_t count,
                        size_t *position, struct arguments *arguments)
{
    const char *word = words[*position];
    const struct option_row *row = find_option(command, word);
    if (row == NULL) {
        fprintf(stderr, "guts: unknown option \"%s\"%s%s%s\n", word,
                command != NULL ? "; see: guts help " : "", command != NULL ? command->name : "",
                "");
        return false;
    }
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (word[1] != '-' && word[2] != '\0')
        value = word + 2 + (word[2] == '=');
    if (row->value == NULL && value != NULL) {
        fprintf(stderr, "guts: option \"%s\" takes no value\n", row->name);
        return false;
    }
    if (row->value != NULL && value == NULL) {
        if (*position + 1 >= count) {
            fprintf(stderr, "guts: option \"%s\" needs a value: %s\n", row->name, row->value);
            return false;
        }
        value = words[++*position];
    }
    arguments->options[arguments->option_count++] = (struct option_value){row, value};
    return true;
}

static bool check_operands(const struct command *command, const struct arguments *arguments)
{
    if (command == NULL || arguments_has(arguments, "--help"))
        return true;
    if (arguments->operand_count < command->operand_least) {
        fprintf(stderr, "guts: %s needs: %s\n", command->name, command->operands);
        return false;
    }
    if (arguments->operand_count > command->operand_most) {
        fprintf(stderr, "guts: %s: too much: \"%s\"\n", command->name,
                arguments->operands[command->operand_most]);
        return false;
    }
    return true;
}

/* The API speaks UTF-8; jansson drops what is none without a word. */
static bool check_encoding(char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *text = json_string(words[i]);
        if (text == NULL) {
            fprintf(stderr, "guts: word %zu behind the command is not in UTF-8\n", i + 1);
            return false;
        }
        json_decref(text);
    }
    return true;
}

bool arguments_number(const struct arguments *arguments, const char *name, uint64_t least,
                      uint64_t *ret_number)
{
    const char *text = arguments_get(arguments, name);
    if (text == NULL)
        return true;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    bool fine = errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && number >= least &&
                number <= INT64_MAX;
    if (!fine)
        fprintf(stderr, "guts: %s: \"%s\" is no whole number from %llu\n", name, text,
                (unsigned long long)least);
    else
        *ret_number = number;
    return fine;
}

bool arguments_parse(const struct command *command, char *const *words, size_t count,
                     struct arguments *ret_arguments)
{
    struct arguments arguments = {
        .operands = xcalloc(count + 1, sizeof(char *)),
        .options = xcalloc(count + 1, sizeof(struct option_value)),
    };
    bool only_operands = false, fine = check_encoding(words, count);
    for (size_t i = 0; i < count && fine; i++) {
        if (only_operands || words[i][0] != '-' || words[i][1] == '\0')
            arguments.operands[arguments.operand_count++] = words[i];
        else if (strcmp(words[i], "--") == 0)
            only_operands = true;
        else
            fine = take_option(command, words, count, &i, &arguments);
    }
    if (!fine || !check_operands(command, &arguments)) {
        arguments_fini(&arguments);
        return false;
    }
    *ret_arguments = arguments;
    return true;
}

void arguments_fini(struct arguments *arguments)
{
    free(arguments->operands);
    free(arguments->options);
    *arguments = (struct arguments){0};
}

size_t arguments_count(const struct arguments *arguments, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < arguments->option_count; i++)
        count += strcmp(arguments->options[i].row->name, name) == 0;
    return count;
}

const char *arguments_nth(const struct arguments *arguments, const char *name, size_t index)
{
    for (size_t i = 0; i < arguments->option_count; i++)
        if (strcmp(arguments->options[i].row->name, name) == 0 && index-- == 0)
            return arguments->options[i].value != NULL ? arguments->options[i].value : "";
    return NULL;
}

const char *arguments_get(const struct arguments *arguments, const char *name)
{
    size_t count = arguments_count(arguments, name);
    return count == 0 ? NULL : arguments_nth(arguments, name, count - 1);
}

bool arguments_has(const struct arguments *arguments, const char *name)
{
    return arguments_count(arguments, name) > 0;
}

bool arguments_duration(const char *text, uint64_t *ret_ms)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || text[0] == '-' || number > 366ull * 86400)
        return false;
    uint64_t unit = 1000;
    if (strcmp(end, "m") == 0)
        unit = 60 * 1000;
    else if (strcmp(end, "h") == 0)
        unit = 3600 * 1000;
    else if (*end != '\0' && strcmp(end, "s") != 0)
        return false;
    *ret_ms = (uint64_t)number * unit;
    return true;
}
