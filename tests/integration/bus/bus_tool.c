/* SPDX-License-Identifier: Apache-2.0
 *
 * A bus under remote control: reads a command a line, answers with one line of JSON. test_bus.py
 * plays broker outages around it.
 *
 *   bus_tool ADDRESS[,ADDRESS] PASSWORD_FILE VHOST [TLS_CA]
 *   consume QUEUE | unconsume QUEUE      scheduler, bulk, changes, dead, or the name of a node
 *   publish KEY BODY COOKIE [FLAGS]      m mandatory, p persistent, c to the changes; BODY "@N": N bytes
 *   flush MS | next MS | ack TAG | requeue TAG | reject TAG TEXT | stats | reconnect
 *   storm KEY COUNT BYTES                publishes and consumes so many, prints the rate
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "proto/bus.h"
#include "proto/fault.h"
#include "proto/topology.h"

struct tool {
    struct bus_settings settings;
    struct bus *bus;
    struct bus_message last;
    struct buffer fates; /* told since the last answer, as JSON */
    uint64_t confirmed;
};

static void note_fate(void *context, uint64_t cookie, enum bus_fate fate)
{
    static const char *const names[] = {"confirmed", "returned", "refused", "lost"};
    struct tool *tool = context;

    tool->confirmed += fate == BUS_CONFIRMED;
    if (cookie != UINT64_MAX)
        buffer_printf(&tool->fates, "%s[%" PRIu64 ",\"%s\"]", tool->fates.length ? "," : "", cookie,
                      names[fate]);
}

/* Ends an answer: the error (if any), the fates. */
static void answer_end(struct tool *tool, const struct error *err)
{
    char text[sizeof(err->text)] = "";

    if (err->fault)
        for (size_t i = 0; err->text[i]; i++)
            text[i] = strchr("\"\\\n\r\t", err->text[i]) ? '\'' : err->text[i];
    printf("\"fault\":\"%s\",\"text\":\"%s\",\"fates\":[%s]}\n", err->fault ? err->fault->code : "",
           text, tool->fates.data ? tool->fates.data : "");
    fflush(stdout);
    buffer_clear(&tool->fates);
}

static struct bus_queue queue_named(const char *name)
{
    struct bus_queue dead = {.kind = BUS_QUEUE_DEAD, .name = TOPOLOGY_DEAD};

    return strcmp(name, "scheduler") == 0 ? topology_scheduler()
           : strcmp(name, "bulk") == 0    ? topology_scheduler_bulk()
           : strcmp(name, "changes") == 0 ? topology_changes()
           : strcmp(name, "dead") == 0    ? dead
                                          : topology_node(name);
}

static void publish(struct tool *tool, char **words, struct error *err)
{
    const char *flags = words[4] ? words[4] : "";
    bool is_change = strchr(flags, 'c') != NULL;
    size_t length = words[2][0] == '@' ? strtoul(words[2] + 1, NULL, 10) : strlen(words[2]);
    char *body = xcalloc(length + 1, 1);
    struct bus_publication publication = {
        .exchange = is_change ? TOPOLOGY_CHANGES : TOPOLOGY_EXCHANGE,
        .routing_key = is_change ? "" : words[1],
        .type = MESSAGE_WAKE,
        .body = body,
        .length = length,
        .persistent = strchr(flags, 'p') != NULL,
        .mandatory = strchr(flags, 'm') != NULL,
        .cookie = strtoull(words[3], NULL, 10),
        .correlation_id = "a-correlation",
    };

    if (words[2][0] == '@')
        memset(body, 'x', length);
    else
        memcpy(body, words[2], length);
    printf("\"sent\":%s,", bus_publish(tool->bus, &publication, err) ? "true" : "false");
    free(body);
}

static void next(struct tool *tool, uint64_t timeout_ms)
{
    struct bus_message *message = &tool->last;
    char head[33] = "";
    uint64_t begun = clock_mono_ms();

    if (!bus_next(tool->bus, timeout_ms, -1, message)) {
        printf("\"tag\":0,\"waited\":%" PRIu64 ",", clock_mono_ms() - begun);
        return;
    }
    memcpy(head, message->body, message->length < 32 ? message->length : 32);
    printf("\"tag\":%" PRIu64 ",\"type\":\"%s\",\"queue\":\"%s\",\"length\":%zu,\"head\":\"%s\","
           "\"redelivered\":%s,\"correlation_id\":\"%s\",",
           message->tag, message_type_name(message->type), message->queue->name, message->length,
           head, message->redelivered ? "true" : "false", message->correlation_id);
}

static void stats(struct tool *tool)
{
    struct bus_stats s;
    struct error err = {0};

    bus_stats(tool->bus, &s);
    error_set(&err, &FAULT_UNAVAILABLE, "%s", s.last_error);
    printf("\"publishing\":%d,\"consuming\":%d,\"blocked\":%d,\"connects\":%" PRIu64
           ",\"rejected\":%" PRIu64 ",\"published\":%" PRIu64 ",\"confirmed\":%" PRIu64 ",",
           s.publishing, s.consuming, s.blocked, s.connects, s.rejected, s.published, s.confirmed);
    answer_end(tool, &err);
}

/* Publishes with confirms and consumes with acknowledgements, all on this thread. */
static void storm(struct tool *tool, const char *key, uint64_t count, size_t bytes,
                  struct error *err)
{
    char *body = xcalloc(bytes + 1, 1);
    struct bus_publication publication = {.exchange = TOPOLOGY_EXCHANGE,
                                          .routing_key = key,
                                          .type = MESSAGE_NODE_REPORT,
                                          .body = body,
                                          .length = bytes,
                                          .mandatory = true,
                                          .cookie = UINT64_MAX};
    uint64_t begun = clock_mono_us(), sent = 0, got = 0, confirmed = tool->confirmed;
    struct bus_message message;

    while (got < count || tool->confirmed - confirmed < count) {
        for (unsigned i = 0; i < 100 && sent < count && sent - got < 2000; i++, sent++)
            if (!bus_publish(tool->bus, &publication, err))
                goto out;
        while (bus_next(tool->bus, sent < count ? 0 : 10, -1, &message)) {
            bus_ack(tool->bus, message.tag);
            got++;
        }
        if (clock_mono_us() - begun > 60000000)
            break;
    }
out:
    printf("\"got\":%" PRIu64 ",\"confirmed\":%" PRIu64 ",\"per_second\":%.0f,", got,
           tool->confirmed - confirmed, (double)got * 1e6 / (double)(clock_mono_us() - begun));
    free(body);
}

static void command_run(struct tool *tool, char **words)
{
    struct error err = {0};
    const char *verb = words[0];
    uint64_t number = words[1] ? strtoull(words[1], NULL, 10) : 0;
    struct bus_queue queue;

    putchar('{');
    if (strcmp(verb, "consume") == 0) {
        queue = queue_named(words[1]);
        bus_consume(tool->bus, &queue);
    } else if (strcmp(verb, "unconsume") == 0) {
        queue = queue_named(words[1]);
        bus_unconsume(tool->bus, &queue);
    } else if (strcmp(verb, "publish") == 0) {
        publish(tool, words, &err);
    } else if (strcmp(verb, "flush") == 0) {
        printf("\"flushed\":%s,", bus_flush(tool->bus, number, &err) ? "true" : "false");
    } else if (strcmp(verb, "next") == 0) {
        next(tool, number);
    } else if (strcmp(verb, "ack") == 0) {
        bus_ack(tool->bus, number);
    } else if (strcmp(verb, "requeue") == 0) {
        bus_requeue(tool->bus, number);
    } else if (strcmp(verb, "reject") == 0) {
        error_set(&err, &FAULT_MESSAGE_POISON, "%s", words[2]);
        bus_reject(tool->bus, &tool->last, &err);
    } else if (strcmp(verb, "reconnect") == 0) {
        bus_reconnect(tool->bus);
    } else if (strcmp(verb, "storm") == 0) {
        storm(tool, words[1], strtoull(words[2], NULL, 10), strtoul(words[3], NULL, 10), &err);
    } else if (strcmp(verb, "stats") == 0) {
        stats(tool);
        return;
    }
    answer_end(tool, &err);
}

static void settings_fill(struct tool *tool, char **words, struct secret *password)
{
    static const char *addresses[4];
    char *rest = NULL;
    size_t count = 0;

    for (char *at = strtok_r(words[1], ",", &rest); at && count < 4;
         at = strtok_r(NULL, ",", &rest))
        addresses[count++] = at;
    tool->settings = (struct bus_settings){
        .addresses = {.items = addresses, .count = count},
        .virtual_host = words[3],
        .user = "guts",
        .password = password,
        .tls_ca = words[4] ? words[4] : "",
        .tls_certificate = "",
        .tls_key = "",
        .heartbeat_ms = 2000,
        .connect_timeout_ms = 3000,
        .send_timeout_ms = 2000,
        .backoff_first_ms = 100,
        .backoff_most_ms = 1000,
        .prefetch = 200,
    };
}

int main(int argc, char **argv)
{
    CLEANUP(secret_freep) struct secret *password = NULL;
    struct tool tool = {0};
    struct error err = {0};
    char line[4096];

    if (argc < 4 || !secret_load(argv[2], &password, &err)) {
        fprintf(stderr, "bus_tool: %s\n", err.text);
        return 1;
    }
    settings_fill(&tool, argv, password);
    tool.bus = bus_open(&tool.settings, "bus_tool");
    bus_on_fate(tool.bus, note_fate, &tool);
    while (fgets(line, sizeof(line), stdin)) {
        char *words[8] = {0}, *rest = NULL;
        size_t count = 0;
        for (char *at = strtok_r(line, " \n", &rest); at && count < 7;
             at = strtok_r(NULL, " \n", &rest))
            words[count++] = at;
        if (count > 0)
            command_run(&tool, words);
    }
    bus_close(tool.bus);
    buffer_fini(&tool.fates);
    return 0;
}
