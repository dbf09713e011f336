/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tables give besides the commands: help, completion for bash, the manual page. */
#include <stdio.h>
#include <string.h>

#include "client/cli/command.h"
#include "common/base/memory.h"

static int run_help(struct session *session, const struct arguments *arguments)
{
    (void)session;
    if (arguments->operand_count == 0) {
        printf("usage: guts COMMAND [operand ...] [option ...]\n\n");
        command_list_help("");
        return EXIT_DONE;
    }
    size_t used = 0;
    const struct command *command =
        command_find((char *const *)arguments->operands, arguments->operand_count, &used);
    if (command != NULL && used == arguments->operand_count) {
        command_help(command);
        return EXIT_DONE;
    }
    if (command_list_help(arguments->operands[0]) > 0)
        return EXIT_DONE;
    fprintf(stderr, "guts: no command \"%s\"\n", arguments->operands[0]);
    return EXIT_USAGE;
}

/* -- completion ----------------------------------------------------------------------------------- */

static void print_completion_case(const struct command *command)
{
    printf("    \"%s\")\n        options=\"", command->name);
    for (size_t i = 0; i < command->option_count; i++)
        printf("%s ", command->options[i].name);
    printf("\" operands=\"%s\" ;;\n", command->complete != NULL ? command->complete : "");
}

static void print_value_cases(const struct option_row *rows, size_t count, const char *command)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].value != NULL)
            printf("    \"%s%s%s\") value=\"%s\" ;;\n", command, command[0] != '\0' ? " " : "",
                   rows[i].name, rows[i].complete != NULL ? rows[i].complete : "-");
}

static void print_names(void)
{
    for (size_t g = 0; g < command_group_count; g++)
        for (size_t i = 0; i < command_groups[g]->count; i++)
            printf("%s\n", command_groups[g]->commands[i].name);
}

static const char completion_head[] =
    "# bash completion for guts; made by: guts complete\n"
    "_guts_things() { # kind: names, or ids where a thing has no name\n"
    "    case \"$1\" in\n"
    "    migrations) guts migration list -f value -c id 2>/dev/null ;;\n"
    "    drivers) guts driver list -f value -c name 2>/dev/null ;;\n"
    "    sources|destinations|vms|nodes) guts \"${1%s}\" list -f value -c name 2>/dev/null ;;\n"
    "    commands) printf '%s\\n' \"${commands// /-}\" ;;\n"
    "    *) printf '%s\\n' \"${1//|/$'\\n'}\" ;;\n"
    "    esac\n"
    "}\n"
    /* Not compgen -W: it expands its words, and a vm may be named $(anything). */
    "_guts_offer() { # lines of standard input that begin with what was typed, quoted for the "
    "shell\n"
    "    local line quoted\n"
    "    while IFS= read -r line; do\n"
    "        [ -n \"$line\" ] || continue\n"
    "        printf -v quoted %q \"$line\"\n"
    "        case \"$quoted\" in\n"
    "        \"$word\"*) COMPREPLY+=(\"$quoted\") ;;\n"
    "        *) case \"$line\" in \"$word\"*) COMPREPLY+=(\"$quoted\") ;; esac ;;\n"
    "        esac\n"
    "    done\n"
    "}\n"
    "_guts() {\n"
    "    local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
    "    local command=\"\" options=\"\" operands=\"\" value=\"\" i commands IFS=$'\\n'\n"
    "    COMPREPLY=()\n";

static const char completion_tail[] =
    "    case \"$before\" in\n"
    "    -f) value=\"table|json|yaml|csv|value\" ;;\n"
    "    esac\n"
    "    if [ \"$value\" = file ]; then\n"
    "        compopt -o default 2>/dev/null\n"
    "    elif [ \"$value\" = - ]; then\n"
    "        :\n"
    "    elif [ -n \"$value\" ]; then\n"
    "        _guts_offer < <(_guts_things \"$value\")\n"
    "    elif [ \"$COMP_CWORD\" = 1 ] && [[ \"$word\" = [!-]*-* ]]; then\n"
    "        _guts_offer < <(_guts_things commands)\n"
    "    elif [ -z \"$command\" ]; then\n"
    "        _guts_offer < <(cut -d' ' -f\"$COMP_CWORD\" <<<\"$left\" | sort -u)\n"
    "    elif [ \"${word:0:1}\" = - ]; then\n"
    "        _guts_offer <<<\"${options// /$'\\n'}\"\n"
    "    elif [ -n \"$operands\" ]; then\n"
    "        _guts_offer < <(_guts_things \"$operands\")\n"
    "    fi\n"
    "}\n"
    "complete -F _guts guts\n";

static void print_common_names(void)
{
    for (size_t i = 0; i < common_option_count; i++)
        printf("%s ", common_options[i].name);
}

static int run_complete(struct session *session, const struct arguments *arguments)
{
    (void)session;
    (void)arguments;
    fputs(completion_head, stdout);
    printf("    commands='");
    print_names();
    printf(
        "'\n"
        "    local typed=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\" left\n"
        "    typed=\"${typed//$'\\n'/ }\"\n"
        "    local first=\"${COMP_WORDS[1]}\"\n"
        "    if [ \"$COMP_CWORD\" -gt 1 ]; then # \"source-create\" is \"source create\"\n"
        "        case \"$first\" in [!-]*-*) typed=\"${first//-/ }${typed#\"$first\"}\" ;; esac\n"
        "    fi\n"
        "    left=$(grep -e \"^$typed\" <<<\"$commands\")\n"
        "    while IFS= read -r i; do\n"
        "        case \"$typed \" in \"$i \"*) [ ${#i} -gt ${#command} ] && command=\"$i\" ;; "
        "esac\n"
        "    done <<<\"$commands\"\n"
        "    case \"$command\" in\n");
    for (size_t g = 0; g < command_group_count; g++)
        for (size_t i = 0; i < command_groups[g]->count; i++)
            print_completion_case(&command_groups[g]->commands[i]);
    printf("    esac\n    options+=\"");
    print_common_names();
    printf("\"\n    case \"$command $before\" in\n");
    for (size_t g = 0; g < command_group_count; g++)
        for (size_t i = 0; i < command_groups[g]->count; i++)
            print_value_cases(command_groups[g]->commands[i].options,
                              command_groups[g]->commands[i].option_count,
                              command_groups[g]->commands[i].name);
    printf("    *) case \"$before\" in\n");
    print_value_cases(common_options, common_option_count, "");
    printf("    esac ;;\n    esac\n");
    fputs(completion_tail, stdout);
    return EXIT_DONE;
}

/* -- the manual page ------------------------------------------------------------------------------ */

/* Text for troff: a backslash and a leading dot or quote mean something there. */
static void print_troff(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\')
            fputs("\\e", stdout);
        else if (*p == '-')
            fputs("\\-", stdout);
        else if ((*p == '.' || *p == '\'') && p == text)
            printf("\\&%c", *p);
        else
            putchar(*p);
    }
}

static void print_troff_options(const struct option_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf(".TP\n.B ");
        print_troff(rows[i].name);
        if (rows[i].value != NULL) {
            printf(" \\fI");
            print_troff(rows[i].value);
            printf("\\fR");
        }
        printf("\n");
        print_troff(rows[i].help);
        printf("\n");
    }
}

static void print_troff_command(const struct command *command)
{
    printf(".SS guts ");
    print_troff(command->name);
    printf(" ");
    print_troff(command->operands);
    printf("\n");
    print_troff(command->summary);
    printf(".\n");
    print_troff_options(command->options, command->option_count);
}

static const char manual_head[] =
    ".TH GUTS 1 \"\" \"guts " GUTS_VERSION "\" \"User Commands\"\n"
    ".SH NAME\nguts \\- moves virtual machines into OpenStack and plain KVM\n"
    ".SH SYNOPSIS\n.B guts\n.I command\n[\\fIoperand\\fR ...] [\\fIoption\\fR ...]\n"
    ".SH DESCRIPTION\n"
    "Speaks with guts\\-api. A command of two words may be written with a dash between them: "
    "\\fBguts source\\-create\\fR is \\fBguts source create\\fR. Things are named by their id or "
    "by "
    "their name. What is shown goes to standard output, complaints go to standard error with the "
    "code of the fault.\n";

static const char manual_tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\ndone\n.TP\n.B 1\nrefused\n.TP\n.B 2\nwrong usage\n.TP\n.B 3\nno API, or it is not "
    "ready\n.TP\n.B 4\nno such thing\n.TP\n.B 5\nno token, a wrong one, or a role that may not\n"
    ".TP\n.B 6\na migration that was waited for ended otherwise than asked\n.TP\n.B 7\nnot ended "
    "in "
    "time\n.TP\n.B 130\ninterrupted\n"
    ".SH ENVIRONMENT\n.TP\n.B GUTS_URL\nof the API\n.TP\n.B GUTS_TOKEN\nthe token\n.TP\n"
    ".B GUTS_TOKEN_FILE\na file that holds the token\n.TP\n"
    ".B OS_CLOUD, OS_AUTH_URL, OS_USERNAME \\&...\nas of the openstack command: without a token of "
    "GUTS_*, Keystone gives one,\nand its catalogue says where the API is (service type migration) "
    "unless GUTS_URL does;\nclouds.yaml and secure.yaml are found as that command finds them\n.TP\n"
    ".B GUTS_CA_FILE\ncertificates to trust\n"
    ".SH SEE ALSO\n.BR guts\\-api (8),\n.BR guts\\-scheduler (8),\n.BR guts\\-migration (8),\n"
    ".BR guts\\-manage (8)\n";

static int run_manual(struct session *session, const struct arguments *arguments)
{
    (void)session;
    (void)arguments;
    fputs(manual_head, stdout);
    printf(".SH OPTIONS OF EVERY COMMAND\n");
    print_troff_options(common_options, common_option_count);
    printf(".SH COMMANDS\n");
    for (size_t g = 0; g < command_group_count; g++)
        for (size_t i = 0; i < command_groups[g]->count; i++)
            print_troff_command(&command_groups[g]->commands[i]);
    fputs(manual_tail, stdout);
    return EXIT_DONE;
}

static const struct command commands[] = {
    {"help", "[COMMAND]", 0, 3, "explain a command", NULL, 0, "commands", run_help, true},
    {"complete", "", 0, 0, "print the completion for bash", NULL, 0, NULL, run_complete, true},
    {"manual", "", 0, 0, "print the manual page (troff)", NULL, 0, NULL, run_manual, true},
};
const struct command_group shell_commands = {"The shell", commands, COUNT_OF(commands)};
