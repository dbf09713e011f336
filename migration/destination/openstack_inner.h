/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of the destination "openstack"; for them only. openstack.c: the driver; _image.c:
 * disks as images; _proof.c: that they arrived; _volume.c, _port.c, _server.c: one kind of thing each; _deploy.c:
 * the machine out of them; _marks.c: finding and removing what carries a mark.
 *
 * Every kind is named by a key that follows from the migration, the attempt and its place in the vm:
 * "disk0/1", "nic2/1", "server/1"; an image's has a round, too ("disk0/1/0"), for an upload that broke
 * begins anew under another id. How a late double of each fails or stays harmless:
 *   image: its id is derived from the key, and Glance never takes an id again, not after its deletion;
 *   port: two of one MAC are refused in one network; without a MAC of ours (keep_mac) it is an unused one, with
 *     our mark: swept, and listed by the settle check;
 *   volume: an unused one, with our mark: swept, and listed by the settle check;
 *   server: made only of its own attempt's ports and volumes, which are in use or gone by then.
 *
 * Threads: as destination.h; an upload is fed by the thread that copies its disk.
 */
#ifndef GUTS_MIGRATION_DESTINATION_OPENSTACK_INNER_H
#define GUTS_MIGRATION_DESTINATION_OPENSTACK_INNER_H

#include "migration/destination/destination.h"

#include "migration/destination/openstack_preflight.h"
#include "migration/disk/http.h"
#include "migration/disk/stream.h"
#include "migration/openstack/link.h"

#define OPENSTACK_COMPUTE_VERSION "2.52" /* tags at creation; Pike and later */
#define OPENSTACK_KEY_SIZE 64

/* Of one disk while its image is made. */
enum openstack_form {
    OPENSTACK_FORM_RAW,
    OPENSTACK_FORM_PLAIN,  /* qcow2 */
    OPENSTACK_FORM_PACKED, /* qcow2 with the source's own deflated blocks */
};
struct openstack_upload {
    struct http_upload *upload;
    struct http_answer answer; /* to a request that broke */
    struct disk_sink_digest *digest;
    char image_id[UUID_TEXT_SIZE];
    uint64_t stream_bytes;
    enum openstack_form form;
};
struct openstack {
    struct destination destination;
    struct work *work;
    struct link *link;
    struct openstack_session *session;
    struct openstack_upload uploads[VM_DISKS_MOST];
    struct openstack_facts *facts; /* NULL: not asked for yet; in the job's arena */
    /* The options, and what they choose at this cloud. */
    bool decided;
    struct openstack_options options;
    struct openstack_choice choice;
};
/* Options and choice stand in self after it. FAULT_PREFLIGHT_FAILED, or the one thing that is wrong: the
 * cloud is no longer what it was at the preflight. */
bool openstack_want(struct openstack *self, const struct destination_plan *plan,
                    struct error *err) MUST_CHECK;
/* After a refusal: looks at the cloud anew. Where the preflight would have refused by now, err becomes its
 * fault, which says more than the service's. False always. */
bool openstack_explain(struct openstack *self, const struct destination_plan *plan,
                       struct error *err);

/* -- the ledger (openstack_deed.c) ------------------------------------------------------------------ */
struct openstack_key {
    char place[32]; /* "disk0", "extra1", "nic2", "server" */
    unsigned attempt;
    unsigned round;
};
bool openstack_key_parse(const char *text, struct openstack_key *ret_key);
void openstack_key_format(const struct openstack_key *key, char ret_text[OPENSTACK_KEY_SIZE]);
/* This attempt's. */
void openstack_key_of(const struct openstack *self, const char *place,
                      char ret_text[OPENSTACK_KEY_SIZE]);
/* The id of an image with that key. */
void openstack_image_id(const struct uuid *migration, const char *key, char ret_id[UUID_TEXT_SIZE]);
/* Of this migration: what a thing carries as metadata. A new reference. */
json_t *openstack_mark_new(const struct openstack *self, const struct destination_plan *plan,
                           const char *key);

/* "web-disk0": within what all services take, however long the server's name is. In the job's arena. */
const char *openstack_name(const struct openstack *self, const struct destination_plan *plan,
                           const char *place);

/* One kind of thing that is made once. find: *ret_id is "" when nothing has the key's mark; make: POST. Both
 * give the id in the job's arena. */
struct openstack_deed {
    const char *kind;
    const char *key;
    bool (*find)(struct openstack *self, const char *key, void *context, const char **ret_id,
                 struct error *err);
    bool (*exists)(struct openstack *self, const char *id, bool *ret_exists, struct error *err);
    bool (*make)(struct openstack *self, const char *key, void *context, const char **ret_id,
                 struct error *err);
    void *context;
};
bool openstack_do(struct openstack *self, const struct openstack_deed *deed, const char **ret_id,
                  struct error *err) MUST_CHECK;

/* -- waiting (openstack_pace.c) ------------------------------------------------------------------------ */
struct openstack_pace {
    uint64_t from_ms, looked_ms; /* since when it is waited; the end of the last pause */
};
/* After so long, and a look that took so long. */
uint64_t openstack_pause_ms(uint64_t waited_ms, uint64_t look_ms);
void openstack_pace_begin(struct openstack_pace *pace);
/* Between two looks. */
bool openstack_pace_wait(struct openstack *self, struct openstack_pace *pace,
                         struct error *err) MUST_CHECK;

/* -- images (openstack_image.c; openstack_proof.c: disk_end) ----------------------------------------- */
bool openstack_disk_begin(struct destination *destination, const struct destination_plan *plan,
                          size_t index, uint64_t size_bytes, struct destination_disk *ret_disk,
                          struct error *err);
bool openstack_disk_end(struct destination *destination, const struct destination_plan *plan,
                        size_t index, const struct copy_digests *digests,
                        struct copy_control *control, json_t *evidence, struct error *err);
/* The entry of the disk's image of this attempt; NULL: it is gone already. */
const struct ledger_entry *openstack_image_entry(const struct openstack *self, size_t index);
bool openstack_image_delete(struct openstack *self, const char *id, bool *ret_found,
                            struct error *err) MUST_CHECK;
void openstack_upload_drop(struct openstack_upload *upload);
bool openstack_upload_broke(const struct openstack_upload *upload, struct error *err);
bool openstack_disk_again(struct destination *destination, size_t index, const struct error *why);
bool openstack_image_get(struct openstack *self, const char *id, json_t **ret_image,
                         struct error *err) MUST_CHECK;

/* -- volumes (openstack_volume.c) -------------------------------------------------------------------- */
struct openstack_volume_plan {
    const struct destination_plan *plan;
    const char *name;
    const char *place;    /* "disk1", "extra0" */
    const char *image_id; /* NULL: empty */
    const char *type;     /* NULL: the cloud's */
    const char *zone;     /* NULL: the cloud's */
    uint64_t gib;
    bool bootable;
    const char *id; /* once it was made */
};
bool openstack_volume_make(struct openstack *self, struct openstack_volume_plan *volume,
                           struct error *err) MUST_CHECK;
/* Until it can be attached (or is by now), with its bootable flag as wanted. */
bool openstack_volume_wait(struct openstack *self, const struct openstack_volume_plan *volume,
                           struct error *err) MUST_CHECK;
/* Waits until it is gone. */
bool openstack_volume_delete(struct openstack *self, const char *id, bool *ret_found,
                             struct error *err) MUST_CHECK;
bool openstack_volume_find(struct openstack *self, const char *key, const char **ret_id,
                           struct error *err) MUST_CHECK;

/* -- ports (openstack_port.c) ------------------------------------------------------------------------- */
struct openstack_port_plan {
    const struct destination_plan *plan;
    const struct openstack_choice_nic *nic;
    const char *id;
};
bool openstack_port_make(struct openstack *self, struct openstack_port_plan *port,
                         struct error *err) MUST_CHECK;
bool openstack_port_delete(struct openstack *self, const char *id, bool *ret_found,
                           struct error *err) MUST_CHECK;
bool openstack_port_find(struct openstack *self, const char *key, const char **ret_id,
                         struct error *err) MUST_CHECK;

/* -- the server (openstack_server.c) ------------------------------------------------------------------- */
struct openstack_server_plan {
    const struct destination_plan *plan;
    const struct openstack_port_plan *ports;
    size_t port_count;
    const struct openstack_volume_plan *volumes; /* the first boots where there is no image */
    size_t volume_count;
    const char *image_id; /* that it boots from; NULL: a volume */
    const char *id;
};
bool openstack_server_make(struct openstack *self, struct openstack_server_plan *server,
                           struct error *err) MUST_CHECK;
/* Until it is ACTIVE; gives it as Nova shows it, a new reference. */
bool openstack_server_wait(struct openstack *self, const char *id, uint64_t timeout_ms,
                           json_t **ret_server, struct error *err) MUST_CHECK;
bool openstack_server_delete(struct openstack *self, const char *id, bool *ret_found,
                             struct error *err) MUST_CHECK;
bool openstack_server_find(struct openstack *self, const char *key, const char **ret_id,
                           struct error *err) MUST_CHECK;

/* -- the machine (openstack_deploy.c, openstack_verify.c) ------------------------------------------------ */
bool openstack_deploy(struct destination *destination, const struct destination_plan *plan,
                      json_t *server, struct error *err);
bool openstack_verify(struct destination *destination, const struct destination_plan *plan,
                      json_t *evidence, struct error *err);

/* -- taking back (openstack_undo.c, openstack_marks.c) ---------------------------------------------------- */
bool openstack_undo(struct destination *destination, const struct ledger_entry *entry,
                    enum ledger_state *ret_state, struct error *err);
bool openstack_accept(struct destination *destination, const struct ledger_entry *entry,
                      enum ledger_state *ret_state, struct error *err);
bool openstack_sweep(struct destination *destination, const struct destination_plan *plan,
                     struct error *err);
bool openstack_settle(struct destination *destination, size_t *ret_removed, struct error *err);
bool openstack_marks(struct destination *destination, mark_take *take, void *context,
                     struct error *err);
bool openstack_remove_mark(struct destination *destination, const struct mark *mark,
                           bool *ret_found, struct error *err);
/* By kind: "image", "volume", "port", "server"; FAULT_UNSUPPORTED else. */
bool openstack_delete(struct openstack *self, const char *kind, const char *id, bool *ret_found,
                      struct error *err) MUST_CHECK;

/* DELETE of one thing; *ret_found is false when it was gone. */
bool openstack_remove(struct openstack *self, const char *service, const char *path,
                      bool *ret_found, struct error *err) MUST_CHECK;
/* Text with numbers in the job's arena. */
#define openstack_text(self, ...) arena_printf(work_arena((self)->work), __VA_ARGS__)

#endif
