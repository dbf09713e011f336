/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams: answers that go on. A stream without bytes suspends its connection, so that it costs no
 * thread; http_stream_wake resumes it. Lock order: the server's streams, a stream, MHD's own.
 */
#include "common/http/inside.h"

#define STREAM_BLOCK_BYTES 4096 /* taken from the connection's memory pool */

struct http_stream {
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_stream_ops *ops;
    void *context;
    pthread_mutex_t mutex;
    bool woken; /* since the last read began */
    bool suspended;
    struct http_stream *previous, *next;
};

static void stream_link(struct http_stream *stream)
{
    struct http_server *server = stream->server;
    pthread_mutex_lock(&server->streams_mutex);
    stream->next = server->streams;
    if (stream->next != NULL)
        stream->next->previous = stream;
    server->streams = stream;
    pthread_mutex_unlock(&server->streams_mutex);
}

static void stream_unlink(struct http_stream *stream)
{
    struct http_server *server = stream->server;
    pthread_mutex_lock(&server->streams_mutex);
    if (stream->next != NULL)
        stream->next->previous = stream->previous;
    if (stream->previous != NULL)
        stream->previous->next = stream->next;
    else
        server->streams = stream->next;
    pthread_mutex_unlock(&server->streams_mutex);
}

static void stream_free(void *context)
{
    struct http_stream *stream = context;
    stream->ops->close(stream->context);
    stream_unlink(stream);
    pthread_mutex_destroy(&stream->mutex);
    free(stream);
}

static void stream_forget_wakes(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    stream->woken = false;
    pthread_mutex_unlock(&stream->mutex);
}

/* False when a wake came since the read began: there may be something after all. */
static bool stream_suspend(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    bool may = !stream->woken;
    if (may) {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    pthread_mutex_unlock(&stream->mutex);
    return may;
}

static ssize_t stream_read(void *context, uint64_t position, char *into, size_t most)
{
    struct http_stream *stream = context;
    for (;;) {
        stream_forget_wakes(stream);
        if (atomic_load(&stream->server->ending))
            return MHD_CONTENT_READER_END_OF_STREAM;
        int64_t count = stream->ops->read(stream->context, into, most);
        if (count > 0)
            return (ssize_t)count;
        if (count < 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (stream_suspend(stream))
            return 0;
    }
}

void http_stream_wake(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    stream->woken = true;
    if (stream->suspended) {
        stream->suspended = false;
        MHD_resume_connection(stream->connection);
    }
    pthread_mutex_unlock(&stream->mutex);
}

struct MHD_Response *stream_response(struct http_server *server, struct MHD_Connection *connection,
                                     const struct http_answer *answer)
{
    struct http_stream *stream = xcalloc(1, sizeof(*stream));
    stream->server = server;
    stream->connection = connection;
    stream->ops = answer->stream;
    stream->context = answer->stream_context;
    pthread_mutex_init(&stream->mutex, NULL);
    stream_link(stream);
    if (answer->ret_stream != NULL)
        *answer->ret_stream = stream;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, stream_read, stream, stream_free);
    if (response == NULL)
        stream_free(stream);
    return response;
}

void stream_wake_all(struct http_server *server)
{
    pthread_mutex_lock(&server->streams_mutex);
    for (struct http_stream *stream = server->streams; stream != NULL; stream = stream->next)
        http_stream_wake(stream);
    pthread_mutex_unlock(&server->streams_mutex);
}

bool stream_any(struct http_server *server)
{
    pthread_mutex_lock(&server->streams_mutex);
    bool any = server->streams != NULL;
    pthread_mutex_unlock(&server->streams_mutex);
    return any;
}
