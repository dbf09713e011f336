/* SPDX-License-Identifier: Apache-2.0
 *
 * A cloud in a thread: each request is answered as a test's function says. One request a connection.
 *
 * Threads: the function is called from the peer's own, one request after another.
 */
#ifndef GUTS_TESTS_UNIT_OPENSTACK_CLOUD_PEER_H
#define GUTS_TESTS_UNIT_OPENSTACK_CLOUD_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct cloud_peer_request {
    char line[1024]; /* "GET /v3/auth/tokens" */
    const char *head;
    const char *body; /* NULL: not read yet */
    size_t length;    /* of the body */
};
struct cloud_peer_answer {
    unsigned status;
    const char *headers; /* "Name: value\r\n", or NULL */
    const void *body;    /* borrowed as long as the peer lives */
    size_t length;
    size_t cut; /* hangs up after so many bytes of the body; 0: never */
};
/* False: the body is wanted first; then it is asked again. */
typedef bool cloud_peer_answers(void *context, const struct cloud_peer_request *request,
                                struct cloud_peer_answer *ret_answer);

struct cloud_peer;
struct cloud_peer *cloud_peer_new(cloud_peer_answers *answers, void *context);
const char *cloud_peer_url(const struct cloud_peer *peer); /* "http://127.0.0.1:1234" */
void cloud_peer_free(struct cloud_peer *peer);

#endif
