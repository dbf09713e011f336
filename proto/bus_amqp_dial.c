/* SPDX-License-Identifier: Apache-2.0
 *
 * Resolving a name, connecting, TLS and logging in can each take seconds, and the owner of a bus has
 * leases to keep: so all of that happens in a short-lived thread, which hands the connection over.
 */
#include "proto/bus_amqp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "proto/fault.h"

#define CHANNELS_MOST 255
#define FRAME_MOST 131072
#define THREAD_STACK_BYTES (512u << 10)

enum dial_stage { DIAL_RUNNING, DIAL_DONE, DIAL_ABANDONED };

/* Copies of all that it needs: an abandoned dial may outlive the bus. */
struct dial {
    _Atomic int stage;
    enum link_role role;
    int wake_fd;
    char host[256];
    int port;
    char *virtual_host, *user, *name, *tls_ca, *tls_certificate, *tls_key;
    struct secret *password;
    uint64_t heartbeat_ms, connect_timeout_ms, send_timeout_ms;
    amqp_connection_state_t connection;
    struct error error;
};

static void dial_free(struct dial *dial)
{
    if (dial->connection)
        amqp_destroy_connection(dial->connection);
    fd_closep(&dial->wake_fd);
    secret_freep(&dial->password);
    free(dial->virtual_host);
    free(dial->user);
    free(dial->name);
    free(dial->tls_ca);
    free(dial->tls_certificate);
    free(dial->tls_key);
    free(dial);
}

/* -- errors: library, channel, connection ------------------------------------------------------- */

static void closed_error(const char *what, unsigned code, amqp_bytes_t text, struct error *err)
{
    bool is_refusal = code == AMQP_ACCESS_REFUSED || code == AMQP_NOT_ALLOWED;

    error_set(err, is_refusal ? &FAULT_DENIED : &FAULT_UNAVAILABLE, "%s: %u %.*s", what, code,
              (int)(text.len < 200 ? text.len : 200), (const char *)text.bytes);
}

void reply_error(const amqp_rpc_reply_t *reply, const char *what, struct error *err)
{
    if (reply->reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        error_set(err, &FAULT_UNAVAILABLE, "%s: %s", what,
                  amqp_error_string2(reply->library_error));
    } else if (reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply->reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = reply->reply.decoded;
        closed_error(what, close->reply_code, close->reply_text, err);
    } else if (reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply->reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = reply->reply.decoded;
        closed_error(what, close->reply_code, close->reply_text, err);
    } else {
        error_set(err, &FAULT_UNAVAILABLE, "%s: no reply", what);
    }
}

static bool reply_check(const amqp_rpc_reply_t *reply, const char *what, struct error *err)
{
    if (reply->reply_type == AMQP_RESPONSE_NORMAL)
        return true;
    reply_error(reply, what, err);
    return false;
}

static bool last_reply_check(struct dial *dial, const char *what)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(dial->connection);

    return reply_check(&reply, what, &dial->error);
}

/* -- the steps, in the thread ------------------------------------------------------------------- */

static struct timeval timeval_of(uint64_t duration_ms)
{
    return (struct timeval){(time_t)(duration_ms / 1000), (suseconds_t)(duration_ms % 1000 * 1000)};
}

static bool status_check(struct dial *dial, int status, const char *what)
{
    return status == AMQP_STATUS_OK ||
           error_set(&dial->error, &FAULT_CONFIG, "%s: %s", what, amqp_error_string2(status));
}

static bool tls_set(struct dial *dial, amqp_socket_t *socket)
{
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 1);
    amqp_ssl_socket_set_key_passwd(socket, ""); /* never asks a terminal for one */
    return status_check(dial,
                        amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST),
                        "TLS versions") &&
           status_check(dial, amqp_ssl_socket_set_cacert(socket, dial->tls_ca), "tls_ca") &&
           (!*dial->tls_certificate ||
            status_check(dial,
                         amqp_ssl_socket_set_key(socket, dial->tls_certificate, dial->tls_key),
                         "tls_certificate or tls_key"));
}

/* The kernel too leaves a peer that acknowledges no bytes, or takes none, for the send time-out. */
static void socket_bound(int fd, uint64_t send_timeout_ms)
{
    unsigned milliseconds = (unsigned)send_timeout_ms;
    struct timeval tv = timeval_of(send_timeout_ms);

    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static bool socket_open(struct dial *dial)
{
    bool is_tls = *dial->tls_ca != 0;
    struct timeval timeout = timeval_of(dial->connect_timeout_ms);
    amqp_socket_t *socket;
    int status;

    amqp_set_handshake_timeout(dial->connection, &timeout);
    amqp_set_rpc_timeout(dial->connection, &timeout);
    socket = is_tls ? amqp_ssl_socket_new(dial->connection) : amqp_tcp_socket_new(dial->connection);
    if (!socket)
        return error_set(&dial->error, &FAULT_UNAVAILABLE, "no socket");
    if (is_tls && !tls_set(dial, socket))
        return false;
    status = amqp_socket_open_noblock(socket, dial->host, dial->port, &timeout);
    if (status != AMQP_STATUS_OK)
        return error_set(&dial->error, &FAULT_UNAVAILABLE, "connect: %s",
                         amqp_error_string2(status));
    socket_bound(amqp_get_sockfd(dial->connection), dial->send_timeout_ms);
    return true;
}

static amqp_table_entry_t entry_bool(const char *key, bool value)
{
    return (amqp_table_entry_t){
        .key = bytes_of(key),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = value},
    };
}

static bool login(struct dial *dial)
{
    amqp_table_entry_t capabilities[] = {
        entry_bool("authentication_failure_close", true),
        entry_bool("basic.nack", true),
        entry_bool("connection.blocked", true),
        entry_bool("consumer_cancel_notify", true),
        entry_bool("publisher_confirms", true),
    };
    amqp_table_entry_t properties[] = {
        {.key = bytes_of("connection_name"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes_of(dial->name)}},
        {.key = bytes_of("capabilities"),
         .value = {.kind = AMQP_FIELD_KIND_TABLE,
                   .value.table = {.num_entries = (int)COUNT_OF(capabilities),
                                   .entries = capabilities}}},
    };
    amqp_table_t table = {.num_entries = (int)COUNT_OF(properties), .entries = properties};
    int heartbeat = (int)((dial->heartbeat_ms + 999) / 1000);
    amqp_rpc_reply_t reply = amqp_login_with_properties(
        dial->connection, dial->virtual_host, CHANNELS_MOST, FRAME_MOST, heartbeat, &table,
        AMQP_SASL_METHOD_PLAIN, dial->user, dial->password ? secret_reveal(dial->password) : "");

    return reply_check(&reply, "login", &dial->error);
}

static bool exchange_declare(struct dial *dial, const char *name, const char *type)
{
    amqp_exchange_declare(dial->connection, PUBLISH_CHANNEL, bytes_of(name), bytes_of(type), false,
                          true, false, false, amqp_empty_table);
    return last_reply_check(dial, name);
}

/* The dead letters must have a place before the first of them. */
static bool dead_queue_declare(struct dial *dial)
{
    amqp_table_entry_t type = {
        .key = bytes_of("x-queue-type"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes_of("quorum")},
    };
    amqp_table_t arguments = {.num_entries = 1, .entries = &type};

    amqp_queue_declare(dial->connection, PUBLISH_CHANNEL, bytes_of(TOPOLOGY_DEAD), false, true,
                       false, false, arguments);
    if (!last_reply_check(dial, TOPOLOGY_DEAD))
        return false;
    amqp_queue_bind(dial->connection, PUBLISH_CHANNEL, bytes_of(TOPOLOGY_DEAD),
                    bytes_of(TOPOLOGY_EXCHANGE), bytes_of(TOPOLOGY_DEAD), amqp_empty_table);
    return last_reply_check(dial, TOPOLOGY_DEAD);
}

static bool channel_prepare(struct dial *dial)
{
    amqp_channel_open(dial->connection, PUBLISH_CHANNEL);
    if (!last_reply_check(dial, "channel") || !exchange_declare(dial, TOPOLOGY_EXCHANGE, "topic") ||
        !exchange_declare(dial, TOPOLOGY_CHANGES, "fanout"))
        return false;
    if (dial->role == LINK_CONSUME) {
        amqp_rpc_reply_t reply =
            amqp_channel_close(dial->connection, PUBLISH_CHANNEL, AMQP_REPLY_SUCCESS);
        return reply_check(&reply, "channel", &dial->error);
    }
    if (!dead_queue_declare(dial))
        return false;
    amqp_confirm_select(dial->connection, PUBLISH_CHANNEL);
    return last_reply_check(dial, "confirms");
}

static void *dial_run(void *context)
{
    struct dial *dial = context;
    uint64_t one = 1;

    dial->connection = amqp_new_connection();
    if (!socket_open(dial) || !login(dial) || !channel_prepare(dial)) {
        amqp_destroy_connection(dial->connection);
        dial->connection = NULL;
    }
    /* After this exchange the dial is its owner's, unless the owner has gone. */
    int wake_fd = dup(dial->wake_fd);
    if (atomic_exchange(&dial->stage, DIAL_DONE) == DIAL_ABANDONED)
        dial_free(dial);
    if (wake_fd >= 0 && write(wake_fd, &one, sizeof(one)) < 0)
        one = 0; /* the counter is full: the owner is awake anyway */
    fd_closep(&wake_fd);
    return NULL;
}

/* -- the owner's side ----------------------------------------------------------------------------- */

/* "host:port", "host", "[::1]:port". */
static void address_split(const char *address, int standard_port, struct dial *ret_dial)
{
    const char *end = *address == '[' ? strchr(address, ']') : NULL;
    const char *colon = strrchr(end ? end : address, ':');
    const char *host = end ? address + 1 : address;
    size_t length = end ? (size_t)(end - host) : colon ? (size_t)(colon - host) : strlen(host);

    ret_dial->port = colon ? atoi(colon + 1) : standard_port;
    snprintf(ret_dial->host, sizeof(ret_dial->host), "%.*s", (int)(length < 255 ? length : 255),
             host);
}

static bool thread_begin(struct dial *dial)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the daemon's own threads' matter */
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    failed = pthread_create(&thread, &attributes, dial_run, dial);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

static char *text_copy(const char *text)
{
    return xstrdup(text ? text : "");
}

struct dial *dial_begin(const struct bus_settings *settings, const char *address,
                        const char *connection_name, enum link_role role, int wake_fd)
{
    struct dial *dial = xcalloc(1, sizeof(*dial));

    dial->role = role;
    dial->wake_fd = dup(wake_fd);
    dial->virtual_host = text_copy(settings->virtual_host);
    dial->user = text_copy(settings->user);
    dial->tls_ca = text_copy(settings->tls_ca);
    dial->tls_certificate = text_copy(settings->tls_certificate);
    dial->tls_key = text_copy(settings->tls_key);
    dial->name =
        xasprintf("%s %s", connection_name, role == LINK_PUBLISH ? "publishes" : "consumes");
    if (settings->password)
        dial->password =
            secret_new(secret_reveal(settings->password), secret_length(settings->password));
    dial->heartbeat_ms = settings->heartbeat_ms;
    dial->connect_timeout_ms = settings->connect_timeout_ms;
    dial->send_timeout_ms = settings->send_timeout_ms;
    address_split(address, *dial->tls_ca ? 5671 : 5672, dial);
    if (!thread_begin(dial)) {
        error_set(&dial->error, &FAULT_UNAVAILABLE, "no thread to connect with");
        atomic_store(&dial->stage, DIAL_DONE);
    }
    return dial;
}

bool dial_end(struct dial *dial, amqp_connection_state_t *ret_connection, struct error *err)
{
    if (atomic_load(&dial->stage) != DIAL_DONE)
        return false;
    *ret_connection = dial->connection;
    dial->connection = NULL;
    *err = dial->error;
    dial_free(dial);
    return true;
}

void dial_abandon(struct dial *dial)
{
    if (atomic_exchange(&dial->stage, DIAL_ABANDONED) == DIAL_DONE)
        dial_free(dial);
}
