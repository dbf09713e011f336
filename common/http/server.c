/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/http/inside.h"

#define CONNECTION_MEMORY_BYTES (16u << 10) /* bounds the headers too */
#define TLS_FILE_MOST (256u << 10)
#define OPTIONS_MOST 16

#define OF(field) offsetof(struct http_server_settings, field)
const struct conf_key http_server_conf_keys[] = {
    {"listen", CONF_STRING, OF(listen), false, "127.0.0.1:7000", 0, 0, "address and port"},
    {"threads", CONF_INTEGER, OF(threads), false, "4", 1, 64, "threads that serve requests"},
    {"connections", CONF_INTEGER, OF(connections_most), false, "1000", 1, 100000,
     "connections at once; more wait in the kernel"},
    {"body_most", CONF_SIZE, OF(body_most_bytes), false, "1MiB", 1024, 64 << 20,
     "the longest body of a request"},
    {"idle_timeout", CONF_DURATION, OF(idle_timeout_ms), false, "30s", 1000, 3600000,
     "a connection that is silent for so long is closed"},
    {"tls_certificate", CONF_STRING, OF(tls_certificate), false, "", 0, 0,
     "PEM file; none: plain HTTP"},
    {"tls_key", CONF_STRING, OF(tls_key), false, "", 0, 0, "PEM file"},
};
const size_t http_server_conf_key_count = COUNT_OF(http_server_conf_keys);
#undef OF

struct tls_files {
    struct buffer certificate, key;
};

static void tls_files_fini(struct tls_files *files)
{
    buffer_fini(&files->certificate);
    if (files->key.data != NULL)
        explicit_bzero(files->key.data, files->key.length);
    buffer_fini(&files->key);
}

static bool tls_is_asked(const struct http_server_settings *settings)
{
    return settings->tls_certificate != NULL && settings->tls_certificate[0] != '\0';
}

static bool tls_load(const struct http_server_settings *settings, struct tls_files *ret_files,
                     struct error *err)
{
    if (!tls_is_asked(settings))
        return true;
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return error_set(err, &FAULT_CONFIG, "this libmicrohttpd was built without TLS");
    return file_read(settings->tls_certificate, TLS_FILE_MOST, &ret_files->certificate, err) &&
           file_read(settings->tls_key != NULL ? settings->tls_key : "", TLS_FILE_MOST,
                     &ret_files->key, err);
}

__attribute__((__format__(__printf__, 2, 0))) static void
daemon_log(void *context, const char *format, va_list args)
{
    char text[256];
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("http_library", "%s", text);
}

static struct MHD_Daemon *daemon_start(struct http_server *server, int fd,
                                       const struct http_server_settings *settings,
                                       struct tls_files *tls)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem options[OPTIONS_MOST] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, settings->connections_most, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)((settings->idle_timeout_ms + 999) / 1000), NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_completed, server},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)exchange_unescape, server},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)exchange_note_uri, server},
    };
    size_t count = 7;
    if (server->thread_count > 1)
        options[count++] =
            (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, server->thread_count, NULL};
    if (tls_is_asked(settings)) {
        flags |= MHD_USE_TLS;
        options[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, tls->certificate.data};
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key.data};
    }
    options[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return MHD_start_daemon(flags, 0, NULL, NULL, exchange_serve, server,
                            MHD_OPTION_EXTERNAL_LOGGER, daemon_log, NULL, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

static struct http_server *server_new(const struct http_server_settings *settings,
                                      http_handler *handler, void *context)
{
    struct http_server *server = xcalloc(1, sizeof(*server));
    server->handler = handler;
    server->context = context;
    server->body_most_bytes = settings->body_most_bytes;
    server->thread_count = settings->threads > 1 ? (unsigned)settings->threads : 1;
    server->threads = xcalloc(server->thread_count, sizeof(*server->threads));
    pthread_mutex_init(&server->streams_mutex, NULL);
    return server;
}

static void server_free(struct http_server *server)
{
    exchange_free_spares(server);
    pthread_mutex_destroy(&server->streams_mutex);
    free(server->threads);
    free(server);
}

bool http_server_open(const struct http_server_settings *settings, http_handler *handler,
                      void *context, struct http_server **ret_server, struct error *err)
{
    CLEANUP(tls_files_fini) struct tls_files tls = {0};
    if (!tls_load(settings, &tls, err))
        return error_prefix(err, "loading the server's certificate");
    unsigned port = 0;
    int fd = listen_open(settings->listen, &port, err);
    if (fd < 0)
        return false;
    struct http_server *server = server_new(settings, handler, context);
    server->port = port;
    errno = 0;
    server->daemon = daemon_start(server, fd, settings, &tls);
    if (server->daemon == NULL) {
        fd_closep(&fd);
        server_free(server);
        return error_set(
            err, &FAULT_CONFIG, "starting the HTTP server on \"%s\": %s", settings->listen,
            tls_is_asked(settings) ? "refused; is the certificate right?" : strerror(errno));
    }
    *ret_server = server;
    return true;
}

static bool server_is_at_rest(struct http_server *server)
{
    return atomic_load(&server->exchanges) == 0 && atomic_load(&server->busy) == 0 &&
           !stream_any(server);
}

/* The handlers run in other threads and nothing signals their end: a short nap is cheap here. */
static void server_wait(struct http_server *server, uint64_t grace_ms)
{
    const struct timespec nap = {.tv_nsec = 2000000};
    for (uint64_t waited_ms = 0; waited_ms < grace_ms && !server_is_at_rest(server);
         waited_ms += 2) {
        stream_wake_all(server);
        nanosleep(&nap, NULL);
    }
}

bool http_server_close(struct http_server *server, uint64_t grace_ms)
{
    if (server == NULL)
        return true;
    int fd = MHD_quiesce_daemon(server->daemon);
    fd_closep(&fd);
    atomic_store(&server->ending, true);
    server_wait(server, grace_ms);
    if (atomic_load(&server->busy) > 0)
        return false;
    stream_wake_all(server);
    MHD_stop_daemon(server->daemon);
    server_free(server);
    return true;
}

unsigned http_server_port(const struct http_server *server)
{
    return server->port;
}
