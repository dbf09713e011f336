/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables as an example file: what has a default stands there with it, so that the file loads;
 * the rest stands behind a comment sign.
 */
#include "common/conf/conf.h"

#include <stdio.h>
#include <string.h>

static bool is_plain(const struct conf_key *key)
{
    return key->type == CONF_INTEGER || key->type == CONF_BOOL || key->type == CONF_STRINGS;
}

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

static const char *shape_of(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_STRING:
        return "\"\"";
    case CONF_SECRET_FILE:
        return "\"/path/of/file\"";
    case CONF_INTEGER:
        return "0";
    case CONF_SIZE:
        return "\"0\"";
    case CONF_DURATION:
        return "\"0s\"";
    case CONF_BOOL:
        return "false";
    case CONF_STRINGS:
        break;
    }
    return "[ ]";
}

static void print_key(const struct conf_key *key, const char *indent)
{
    if (key->help != NULL)
        printf("%s# %s%s\n", indent, key->help, key->required ? " (required)" : "");
    if (key->standard == NULL) {
        printf("%s# %s = %s;\n", indent, key->name, shape_of(key));
        return;
    }
    printf("%s%s = ", indent, key->name);
    if (is_plain(key))
        fputs(key->standard, stdout);
    else
        print_quoted(key->standard);
    puts(";");
}

void conf_print_example(const struct conf_section *sections, size_t section_count)
{
    for (size_t i = 0; i < section_count; i++) {
        bool top = sections[i].name[0] == '\0';
        if (!top)
            printf("%s = {\n", sections[i].name);
        for (size_t k = 0; k < sections[i].key_count; k++)
            print_key(&sections[i].keys[k], top ? "" : "    ");
        puts(top ? "" : "};\n");
    }
}
