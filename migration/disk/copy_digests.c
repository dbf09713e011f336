/* SPDX-License-Identifier: Apache-2.0
 *
 * The digest list of a disk: pages of 4096 chunks, of which only those with data take room: the first in
 * memory, further ones in a file where there may be one.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "common/base/memory.h"
#include "migration/disk/copy_engine.h"
#include "migration/disk/copy_hash.h"
#include "proto/fault.h"

#define PAGE_CHUNKS 4096u
#define PAGES_KEPT 16u /* in memory, before a file is begun: 64 GiB of data */

struct digest_page {
    uint8_t digests[PAGE_CHUNKS][COPY_DIGEST_BYTES];
};
struct copy_digests {
    uint64_t size_bytes;
    uint64_t chunk_count;
    size_t page_count;
    struct digest_page **pages; /* NULL: all zeroes */
    size_t kept_count;          /* of pages on the heap */
    char *directory;            /* for a file; NULL: none */
    struct copy_spill *spill;
    uint8_t zero[COPY_DIGEST_BYTES];
    uint8_t zero_last[COPY_DIGEST_BYTES]; /* the last chunk may be short */
};

void copy_zero_digest(size_t length, uint8_t ret_digest[COPY_DIGEST_BYTES])
{
    struct copy_hash *hash = copy_hash_new();
    copy_hash_add_zeroes(hash, length);
    copy_hash_end(hash, ret_digest);
    copy_hash_free(hash);
}

struct copy_digests *copy_digests_new(uint64_t size_bytes)
{
    struct copy_digests *digests = xcalloc(1, sizeof(*digests));
    digests->size_bytes = size_bytes;
    digests->chunk_count = size_bytes / COPY_CHUNK_BYTES + (size_bytes % COPY_CHUNK_BYTES != 0);
    assert(digests->chunk_count <= 64ull << 20);
    digests->page_count = (size_t)((digests->chunk_count + PAGE_CHUNKS - 1) / PAGE_CHUNKS);
    digests->pages = xcalloc(digests->page_count + 1, sizeof(struct digest_page *));
    copy_zero_digest(COPY_CHUNK_BYTES, digests->zero);
    size_t rest = (size_t)(size_bytes % COPY_CHUNK_BYTES);
    copy_zero_digest(rest > 0 ? rest : COPY_CHUNK_BYTES, digests->zero_last);
    return digests;
}

void copy_digests_free(struct copy_digests *digests)
{
    if (digests == NULL)
        return;
    for (size_t i = 0; i < digests->page_count; i++) {
        if (!copy_spill_holds(digests->spill, digests->pages[i]))
            free(digests->pages[i]);
    }
    copy_spill_free(digests->spill);
    free(digests->directory);
    free(digests->pages);
    free(digests);
}

void copy_digests_spill(struct copy_digests *digests, const char *directory)
{
    free(digests->directory);
    digests->directory = xstrdup(directory);
}

static const uint8_t *zero_of(const struct copy_digests *digests, uint64_t index)
{
    return index + 1 == digests->chunk_count ? digests->zero_last : digests->zero;
}

static const uint8_t *digest_get(const struct copy_digests *digests, uint64_t index)
{
    const struct digest_page *page = digests->pages[index / PAGE_CHUNKS];
    copy_spill_touch(digests->spill, page);
    return page != NULL ? page->digests[index % PAGE_CHUNKS] : zero_of(digests, index);
}

/* Room for page `index`: where there is none for a file, memory is better than no copy. */
static struct digest_page *page_room(struct copy_digests *digests, size_t index)
{
    struct digest_page *page = NULL;
    if (digests->kept_count >= PAGES_KEPT && digests->spill == NULL && digests->directory != NULL) {
        digests->spill = copy_spill_new(digests->directory, sizeof(*page), digests->page_count);
        if (digests->spill == NULL) { /* asked once */
            free(digests->directory);
            digests->directory = NULL;
        }
    }
    if (digests->kept_count >= PAGES_KEPT && digests->spill != NULL)
        page = copy_spill_page(digests->spill, index);
    if (page != NULL) {
        copy_spill_touch(digests->spill, page);
        return page;
    }
    digests->kept_count++;
    return xcalloc(1, sizeof(*page));
}

static struct digest_page *page_new(struct copy_digests *digests, size_t index)
{
    struct digest_page *page = page_room(digests, index);
    uint64_t first = (uint64_t)index * PAGE_CHUNKS;
    for (uint64_t i = 0; i < PAGE_CHUNKS && first + i < digests->chunk_count; i++)
        memcpy(page->digests[i], zero_of(digests, first + i), COPY_DIGEST_BYTES);
    return page;
}

void copy_digests_set(struct copy_digests *digests, const struct copy_chunk *chunk)
{
    if (chunk->index >= digests->chunk_count)
        return;
    if (memcmp(digest_get(digests, chunk->index), chunk->digest, COPY_DIGEST_BYTES) == 0)
        return;
    struct digest_page **page = &digests->pages[chunk->index / PAGE_CHUNKS];
    if (*page == NULL)
        *page = page_new(digests, (size_t)(chunk->index / PAGE_CHUNKS));
    memcpy((*page)->digests[chunk->index % PAGE_CHUNKS], chunk->digest, COPY_DIGEST_BYTES);
}

static void page_digest(const struct copy_digests *digests, uint64_t first,
                        XXH128_canonical_t *ret_digest)
{
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    for (uint64_t i = 0; i < PAGE_CHUNKS && first + i < digests->chunk_count; i++)
        XXH3_128bits_update(state, digest_get(digests, first + i), COPY_DIGEST_BYTES);
    XXH128_canonicalFromHash(ret_digest, XXH3_128bits_digest(state));
    XXH3_freeState(state);
}

void copy_digests_text(const struct copy_digests *digests, char ret_text[COPY_DIGEST_TEXT_SIZE])
{
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH128_canonical_t zeroes, canonical;
    for (size_t i = 0; i < digests->page_count; i++) {
        bool is_last = i + 1 == digests->page_count;
        if (i == 0 || digests->pages[i] != NULL || is_last)
            page_digest(digests, (uint64_t)i * PAGE_CHUNKS, &canonical);
        else /* a whole page of zeroes: all are the same */
            canonical = zeroes;
        if (i == 0) {
            struct copy_digests empty = *digests;
            struct digest_page *none = NULL;
            empty.pages = &none;
            page_digest(&empty, 0, &zeroes);
        }
        XXH3_128bits_update(state, canonical.digest, sizeof(canonical.digest));
    }
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    int at = snprintf(ret_text, COPY_DIGEST_TEXT_SIZE, "xxh3-128-tree:");
    for (size_t i = 0; i < sizeof(canonical.digest); i++)
        at += snprintf(ret_text + at, COPY_DIGEST_TEXT_SIZE - (size_t)at, "%02x",
                       canonical.digest[i]);
}

/* -- reading -------------------------------------------------------------------------------------- */

static bool set_chunks(void *context, const struct copy_chunk *chunks, size_t count,
                       struct error *err)
{
    for (size_t i = 0; i < count; i++)
        copy_digests_set(context, &chunks[i]);
    return true;
}

bool copy_digests_read(struct copy_digests *digests, struct disk *disk,
                       struct copy_control *control, struct error *err)
{
    struct copy_plan plan = {.from = disk,
                             .control = control,
                             .budget = control->budget,
                             .flushed = set_chunks,
                             .context = digests};
    return copy_run(&plan, err);
}

struct verify {
    const struct copy_digests *wanted;
    struct copy_set *told;
};

static bool mismatch(uint64_t index, struct error *err)
{
    return error_set(err, &FAULT_DIGEST_MISMATCH,
                     "the megabyte at offset %" PRIu64 " is not what was read at the source",
                     index * COPY_CHUNK_BYTES);
}

static bool verify_chunks(void *context, const struct copy_chunk *chunks, size_t count,
                          struct error *err)
{
    const struct verify *verify = context;
    for (size_t i = 0; i < count; i++) {
        if (memcmp(digest_get(verify->wanted, chunks[i].index), chunks[i].digest,
                   COPY_DIGEST_BYTES) != 0)
            return mismatch(chunks[i].index, err);
        copy_set_add(verify->told, chunks[i].index);
    }
    return true;
}

/* Chunks that the disk holds as holes were not told: there, zeroes must be wanted. */
static bool verify_rest(const struct verify *verify, struct error *err)
{
    const struct copy_digests *wanted = verify->wanted;
    for (uint64_t i = 0; i < wanted->chunk_count; i++) {
        if (wanted->pages[i / PAGE_CHUNKS] == NULL)
            i |= PAGE_CHUNKS - 1; /* zeroes in the whole page; what was told was compared */
        else if (!copy_set_has(verify->told, i) &&
                 memcmp(digest_get(wanted, i), zero_of(wanted, i), COPY_DIGEST_BYTES) != 0)
            return mismatch(i, err);
    }
    return true;
}

bool copy_verify(struct disk *disk, const struct copy_digests *digests,
                 struct copy_control *control, struct error *err)
{
    if (disk_size_bytes(disk) != digests->size_bytes)
        return error_set(err, &FAULT_DIGEST_MISMATCH, "%s: %" PRIu64 " bytes instead of %" PRIu64,
                         disk_describe(disk), disk_size_bytes(disk), digests->size_bytes);
    struct verify verify = {digests, copy_set_new(digests->size_bytes)};
    struct copy_plan plan = {.from = disk,
                             .control = control,
                             .budget = control->budget,
                             .flushed = verify_chunks,
                             .context = &verify};
    bool ok = copy_run(&plan, err) && verify_rest(&verify, err);
    copy_set_free(verify.told);
    return ok;
}
