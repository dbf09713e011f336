/* SPDX-License-Identifier: Apache-2.0
 *
 * For those who write a kind of disk: the functions behind disk.h. A disk embeds struct disk as its
 * first member, fills it with disk_init and returns its address.
 */
#ifndef GUTS_MIGRATION_DISK_DISK_OPS_H
#define GUTS_MIGRATION_DISK_DISK_OPS_H

#include "migration/disk/disk.h"
#include "migration/disk/pack.h"

struct disk_ops {
    const char *name;
    /* Required. Ranges were checked already and length is never 0. */
    bool (*read)(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                 struct error *err);
    void (*close)(struct disk *disk);
    /* Optional. Without extents all is data; without zero, zeroes are written. */
    bool (*extents)(struct disk *disk, uint64_t offset, uint64_t length,
                    struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                    struct error *err);
    bool (*write)(struct disk *disk, const void *data, size_t length, uint64_t offset,
                  struct error *err);
    bool (*zero)(struct disk *disk, uint64_t offset, uint64_t length, struct error *err);
    bool (*flush)(struct disk *disk, struct error *err);
    bool (*finish)(struct disk *disk, struct error *err);
    /* Packs (pack.h): ranges are whole blocks, checked; lengths are 0 when read_packs is called. */
    bool (*read_packs)(struct disk *disk, void *ret_data, struct disk_packs packs, size_t length,
                       uint64_t offset, struct error *err);
    bool (*write_packs)(struct disk *disk, const void *data, struct disk_packs packs, size_t length,
                        uint64_t offset, struct error *err);
    bool (*pack_rooms)(struct disk *disk, uint64_t offset, size_t count, uint32_t *ret_rooms,
                       struct error *err);
    /* The range, which was checked, will be read soon: a hint that costs nothing to ignore. */
    void (*expect)(struct disk *disk, uint64_t length, uint64_t offset);
    /* Of a sequential disk whose bytes cost decoding: read in two halves. gather takes what is coded of a range, in
     * the disk's order, into `gather_bytes` of room that the caller lends; decode makes bytes of it, from any
     * thread, beside the next gather. ret_data is the same for both, and holds old bytes before. */
    bool (*gather)(struct disk *disk, void *ret_data, void *ret_room, size_t length,
                   uint64_t offset, struct error *err);
    bool (*decode)(struct disk *disk, void *ret_data, const void *room, uint64_t offset,
                   struct error *err);
    /* All of the range will be written soon: room may be taken for it at once, which then is true. What turns
     * out to be zero in it has to be zeroed. */
    bool (*room)(struct disk *disk, uint64_t length, uint64_t offset);
    /* What the identity would be if the disk were opened now; heap, NULL: cannot be told. */
    char *(*identify)(struct disk *disk);
    /* Makes calls that wait for a peer return soon with an error, and later ones at once. Called by
     * another thread while they run. Without it, calls are taken to end by themselves. */
    void (*interrupt)(struct disk *disk);
};

struct disk {
    const struct disk_ops *ops;
    char *description; /* heap, freed by disk_fini */
    char *identity;    /* heap, may be NULL */
    uint64_t size_bytes;
    enum disk_access access;
    unsigned parallel;
    uint32_t block_bytes; /* the unit in which room is given; disk_init says 4096 */
    uint64_t held_bytes;  /* of buffers, see disk_held_bytes; wrappers pass on what they wrap */
    size_t gather_bytes;  /* 0: it is not read in two halves */
    bool whole_blocks;    /* a copy writes whole aligned blocks, each once */
};
/* How many decoders that hold so many bytes each a disk has, for readers at once; others wait for one. One a core and
 * one more, within 8 MiB; one in any case. */
unsigned disk_decoders(uint64_t bytes_each);
/* For disks over other disks: tells what will be read soon, as far as it lies inside. */
void disk_expect(struct disk *disk, uint64_t length, uint64_t offset);
/* See gather and decode; where gather_bytes is not 0. The range is checked by disk_gather alone. */
bool disk_gather(struct disk *disk, void *ret_data, void *ret_room, size_t length, uint64_t offset,
                 struct error *err) MUST_CHECK;
bool disk_decode(struct disk *disk, void *ret_data, const void *room, uint64_t offset,
                 struct error *err) MUST_CHECK;
/* Tells what will be written soon; true: zeroes in it are not left out, but zeroed. */
bool disk_room(struct disk *disk, uint64_t length, uint64_t offset);
/* Larger disks do not exist at any peer; a size from outside beyond it is a lie. */
#define DISK_SIZE_MOST (64ull << 40)

/* Takes description and identity. */
void disk_init(struct disk *disk, const struct disk_ops *ops, char *description, char *identity,
               uint64_t size_bytes, enum disk_access access, unsigned parallel);
char *disk_identify(struct disk *disk); /* of an inner disk, for wrappers */
void disk_fini(struct disk *disk);      /* called by disk_close after ops->close's own work */

#endif
