/* SPDX-License-Identifier: Apache-2.0
 *
 * Confinement of paths and addresses that come from outside: local paths lie beneath roots named in
 * the node's configuration and are opened with openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS), for
 * every extent and backing file too; URLs pass the node's allow list.
 *
 * Threads: constant after loading.
 */
#ifndef GUTS_MIGRATION_ROOT_H
#define GUTS_MIGRATION_ROOT_H

#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/conf/conf.h"

struct sockaddr;
struct roots;
/* `read` roots serve sources, `write` roots destinations. `urls` are prefixes
 * ("https://images.example.org/", "http://10.0.0.0/8:8080/" is not: prefixes are literal); the
 * host, once resolved, is checked to be no loopback or link-local address unless listed literally.
 * A root that cannot be opened is no fault yet: paths beneath it then give FAULT_IO. */
bool roots_open(const struct conf_strings *read, const struct conf_strings *write,
                const struct conf_strings *urls, struct roots **ret_roots,
                struct error *err) MUST_CHECK;
void roots_free(struct roots *roots);

/* An absolute path beneath a read root. flags as open(2) (O_CLOEXEC is added). FAULT_PATH_OUTSIDE
 * when it lies beneath none, or leaves it by "..", a link or a mount's magic link. */
bool roots_open_file(const struct roots *roots, const char *path, int flags, int *ret_fd,
                     struct error *err) MUST_CHECK;
/* The same for write roots; creates with mode when flags say O_CREAT. */
bool roots_open_for_write(const struct roots *roots, const char *path, int flags, mode_t mode,
                          int *ret_fd, struct error *err) MUST_CHECK;
/* `name` (from a descriptor: hostile) beneath the open directory; it may not leave it. */
bool roots_open_beneath(int directory_fd, const char *name, int flags, int *ret_fd,
                        struct error *err) MUST_CHECK;
bool roots_allow_url(const struct roots *roots, const char *url, struct error *err) MUST_CHECK;
/* Whether the address that a listed URL's host leads to now may be connected to: names change between
 * two looks. */
bool roots_allow_address(const struct roots *roots, const char *url,
                         const struct sockaddr *address);

#endif
