/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "migration/disk/tool/tool.h"

static const char help[] =
    "guts-disk: read, convert and compare disks of virtual machines\n"
    "\n"
    "  guts-disk info FILE                what it is\n"
    "  guts-disk map FILE                 its extents: offset, length, data|zero|hole\n"
    "  guts-disk digest FILE              the digest of its guest-visible bytes\n"
    "  guts-disk compare FILE FILE        exit code 1 where the bytes differ\n"
    "  guts-disk convert FROM TO          copy, in parallel, holes kept\n"
    "\n"
    "FILE is a path, nbd://HOST:PORT/EXPORT, nbd+unix:///EXPORT?socket=PATH, http://… or "
    "https://….\n"
    "VMDK of every kind (a streamOptimized one also in gzip), qcow2, raw and NBD are read "
    "natively;\n"
    "vdi, vpc and vhdx through qemu-nbd.\n"
    "FROM may be -: a streamOptimized VMDK on standard input, read once.\n"
    "TO may also be nbd:…; or a stream of known length: - (standard output), http(s)://… (PUT).\n"
    "\n"
    "  -f, --from FORMAT     raw, vmdk, qcow2, vdi, vpc, vhdx; found out where it can be\n"
    "  -O, --to FORMAT       raw (default) or qcow2\n"
    "  -c, --compress[=KIND] compressed qcow2 clusters: zstd (default), deflate (slower, read by\n"
    "                        all), repack (grains of a streamOptimized VMDK as they are: fastest)\n"
    "  -n, --no-create       write into what is there\n"
    "  -d, --digest          print the digest of what was copied\n"
    "      --sha512          print the SHA-512 of the stream (to - or http)\n"
    "  -p, --progress        show a bar\n"
    "      --sync            wait until the result is on stable storage\n"
    "      --threads N       instead of as many as pay\n"
    "      --memory MIB      of buffers; 32 unless told otherwise\n"
    "      --rate MIB        a second at most\n"
    "      --headers FILE    sent with each HTTP request, one a line (a token, say)\n"
    "  -h, --help   -V, --version\n";

enum {
    OPTION_SYNC = 256,
    OPTION_SHA512,
    OPTION_THREADS,
    OPTION_MEMORY,
    OPTION_RATE,
    OPTION_HEADERS
};

static const struct option options_known[] = {
    {"from", required_argument, NULL, 'f'},
    {"to", required_argument, NULL, 'O'},
    {"compress", optional_argument, NULL, 'c'},
    {"no-create", no_argument, NULL, 'n'},
    {"digest", no_argument, NULL, 'd'},
    {"progress", no_argument, NULL, 'p'},
    {"sync", no_argument, NULL, OPTION_SYNC},
    {"sha512", no_argument, NULL, OPTION_SHA512},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"memory", required_argument, NULL, OPTION_MEMORY},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"headers", required_argument, NULL, OPTION_HEADERS},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

int tool_fail(const struct error *err)
{
    fprintf(stderr, "guts-disk: %s: %s\n", err->fault->code, err->text);
    return 2;
}

static bool parse_count(const char *text, uint64_t most, uint64_t *ret_count)
{
    char *end = NULL;
    unsigned long long count = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || count > most) {
        fprintf(stderr, "guts-disk: \"%s\" is not a number up to %llu\n", text,
                (unsigned long long)most);
        return false;
    }
    *ret_count = count;
    return true;
}

static bool parse_compression(const char *text, enum disk_qcow2_compression *ret_compression)
{
    static const char *const names[] = {
        [DISK_QCOW2_PLAIN] = "none",
        [DISK_QCOW2_ZSTD] = "zstd",
        [DISK_QCOW2_DEFLATE] = "deflate",
        [DISK_QCOW2_REPACK] = "repack",
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(text != NULL ? text : "zstd", names[i]) == 0) {
            *ret_compression = (enum disk_qcow2_compression)i;
            return true;
        }
    }
    fprintf(stderr, "guts-disk: \"%s\" is not none, zstd, deflate or repack\n", text);
    return false;
}

static bool take_option(int letter, const char *value, struct tool_options *options)
{
    uint64_t count = 0;
    struct error err = {0};
    switch (letter) {
    case 'f':
        options->from_format = value;
        return true;
    case 'O':
        options->to_format = value;
        return true;
    case 'c':
        return parse_compression(value, &options->compression);
    case 'n':
        return options->to_is_old = true;
    case 'd':
        return options->digest = true;
    case 'p':
        return options->progress = true;
    case OPTION_SYNC:
        return options->sync = true;
    case OPTION_SHA512:
        return options->sha512 = true;
    case OPTION_THREADS:
        if (!parse_count(value, 64, &count))
            return false;
        options->threads = (unsigned)count;
        return true;
    case OPTION_MEMORY:
        if (!parse_count(value, 1 << 20, &count))
            return false;
        options->memory_bytes = count << 20;
        return true;
    case OPTION_RATE:
        if (!parse_count(value, 1 << 20, &count))
            return false;
        options->bytes_per_second = count << 20;
        return true;
    case OPTION_HEADERS:
        if (!tool_headers_read(value, &options->headers, &err))
            (void)tool_fail(&err);
        return options->headers != NULL;
    default:
        return false;
    }
}

static int usage(void)
{
    fputs("guts-disk: see guts-disk --help\n", stderr);
    return 2;
}

/* What was asked for and would not happen is refused. */
static bool check_convert(const char *to, const struct tool_options *options)
{
    const char *wrong = NULL;
    bool is_qcow2 = strcmp(options->to_format, "qcow2") == 0;
    if (!is_qcow2 && strcmp(options->to_format, "raw") != 0)
        wrong = "--to takes raw or qcow2";
    else if (options->compression != DISK_QCOW2_PLAIN && !is_qcow2)
        wrong = "--compress is for --to qcow2";
    else if (options->sha512 && !tool_is_stream(to))
        wrong = "--sha512 is for streams: to - or http";
    else if (options->to_is_old && tool_is_stream(to))
        wrong = "--no-create is not for streams";
    if (wrong != NULL)
        fprintf(stderr, "guts-disk: %s\n", wrong);
    return wrong == NULL;
}

static int run(int count, char **words, const struct tool_options *options)
{
    const char *command = count > 0 ? words[0] : "";
    if (count == 2 && strcmp(command, "info") == 0)
        return tool_info(words[1], options);
    if (count == 2 && strcmp(command, "map") == 0)
        return tool_map(words[1], options);
    if (count == 2 && strcmp(command, "digest") == 0)
        return tool_digest(words[1], options);
    if (count == 3 && strcmp(command, "compare") == 0)
        return tool_compare(words[1], words[2], options);
    if (count == 3 && strcmp(command, "convert") == 0 && !check_convert(words[2], options))
        return 2;
    if (count == 3 && strcmp(command, "convert") == 0)
        return tool_convert(words[1], words[2], options);
    return usage();
}

/* The copy that a signal stops. */
static struct copy_control *_Atomic steered;

static void stop_copy(int number)
{
    struct copy_control *control = steered;
    if (control != NULL)
        control->stop = true;
}

void tool_watch_signals(struct copy_control *control)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = control != NULL ? stop_copy : SIG_DFL,
                               .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    steered = control;
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        sigaction(numbers[i], &action, NULL);
}

/* A broken pipe and a file that may not grow are errors to be told. A disk in many files needs many
 * descriptors. */
static void set_limits(void)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* What was printed may have gone nowhere. */
static int check_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "guts-disk: cannot write to standard output: %s\n", strerror(errno));
    return 2;
}

int main(int argc, char **argv)
{
    struct tool_options options = {.to_format = "raw"};
    set_limits();
    log_open("guts-disk", LOG_WARN_LEVEL);
    for (int letter;
         (letter = getopt_long(argc, argv, "f:O:c::ndphV", options_known, NULL)) != -1;) {
        if (letter == 'h' || letter == 'V') {
            fputs(letter == 'h' ? help : "guts-disk " GUTS_VERSION "\n", stdout);
            return check_output(0);
        }
        if (!take_option(letter, optarg, &options))
            return usage();
    }
    return check_output(run(argc - optind, argv + optind, &options));
}
