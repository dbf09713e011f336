/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/openstack/cloud_peer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "tests/unit/send_all.h"

#define HEAD_MOST 65536
#define BODY_MOST (64u << 20)

struct cloud_peer {
    int fd;
    pthread_t thread;
    pthread_mutex_t mutex; /* one request after another */
    cloud_peer_answers *answers;
    void *context;
    char url[64];
};
struct visit {
    struct cloud_peer *peer;
    int fd;
};

static void send_answer(int fd, const struct cloud_peer_answer *answer)
{
    char head[4096];
    int length =
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %u Said\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
                 answer->status, answer->length, answer->headers != NULL ? answer->headers : "");
    size_t most = answer->cut > 0 && answer->cut < answer->length ? answer->cut : answer->length;
    if (send_all(fd, head, (size_t)length) && most > 0)
        (void)send_all(fd, answer->body, most);
}

/* What is read beyond the head stays behind it. */
static size_t read_head(int fd, char *text)
{
    size_t length = 0;
    while (strstr(text, "\r\n\r\n") == NULL && length + 1 < HEAD_MOST) {
        ssize_t got = recv(fd, text + length, HEAD_MOST - 1 - length, 0);
        if (got <= 0)
            return 0;
        length += (size_t)got;
        text[length] = '\0';
    }
    return length;
}

static char *read_body(int fd, const char *text, size_t length, size_t *ret_length)
{
    const char *end = strstr(text, "\r\n\r\n") + 4, *said = strcasestr(text, "content-length:");
    size_t wanted = said != NULL ? strtoul(said + 15, NULL, 10) : 0;
    if (wanted > BODY_MOST)
        abort();
    char *body = xcalloc(1, wanted + 1);
    size_t have = length - (size_t)(end - text);
    memcpy(body, end, have < wanted ? have : wanted);
    while (have < wanted) {
        ssize_t got = recv(fd, body + have, wanted - have, 0);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    *ret_length = have;
    return body;
}

static void serve(struct cloud_peer *peer, int fd)
{
    char *text = xcalloc(1, HEAD_MOST), *body = NULL;
    struct cloud_peer_request request = {.head = text};
    struct cloud_peer_answer answer = {.status = 500};
    size_t length = read_head(fd, text);
    if (length > 0) {
        snprintf(request.line, sizeof(request.line), "%.*s",
                 (int)(strcspn(text, "\r") - strlen(" HTTP/1.1")), text);
        pthread_mutex_lock(&peer->mutex);
        if (!peer->answers(peer->context, &request, &answer)) {
            body = read_body(fd, text, length, &request.length);
            request.body = body;
            peer->answers(peer->context, &request, &answer);
        }
        pthread_mutex_unlock(&peer->mutex);
        send_answer(fd, &answer);
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, text, HEAD_MOST, 0) > 0)
        ; /* what the client still sends: else it would not see the answer */
    free(body);
    free(text);
}

static void *serve_one(void *context)
{
    struct visit visit = *(struct visit *)context;
    free(context);
    serve(visit.peer, visit.fd);
    close(visit.fd);
    return NULL;
}

static void *take_all(void *context)
{
    struct cloud_peer *peer = context;
    for (int fd; (fd = accept(peer->fd, NULL, NULL)) >= 0;) {
        pthread_t thread;
        struct visit *visit = xcalloc(1, sizeof(*visit));
        *visit = (struct visit){peer, fd};
        if (pthread_create(&thread, NULL, serve_one, visit) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

struct cloud_peer *cloud_peer_new(cloud_peer_answers *answers, void *context)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct cloud_peer *peer = xcalloc(1, sizeof(*peer));
    peer->answers = answers;
    peer->context = context;
    pthread_mutex_init(&peer->mutex, NULL);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(peer->fd, (struct sockaddr *)(void *)&address, sizeof(address)) != 0 ||
        listen(peer->fd, 16) != 0 ||
        getsockname(peer->fd, (struct sockaddr *)(void *)&address, &length) != 0 ||
        pthread_create(&peer->thread, NULL, take_all, peer) != 0)
        abort();
    snprintf(peer->url, sizeof(peer->url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    return peer;
}

const char *cloud_peer_url(const struct cloud_peer *peer)
{
    return peer->url;
}

void cloud_peer_free(struct cloud_peer *peer)
{
    shutdown(peer->fd, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->fd);
    free(peer);
}
