/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a VMDK, opened and checked: descriptor, extents, parents.
 */
#include <errno.h>
#include <iconv.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/vmdk_inner.h"
#include "proto/fault.h"

bool vmdk_file_read(const struct vmdk_file *file, void *ret_data, size_t length, uint64_t offset,
                    struct error *err)
{
    if (offset > file->size_bytes || length > file->size_bytes - offset)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": truncated at %" PRIu64, file->name,
                         file->size_bytes);
    if (file->bytes != NULL)
        return disk_read(file->bytes, ret_data, length, file->start_bytes + offset, err);
    if (file_pread_all(file->fd, ret_data, length, file->start_bytes + offset, err))
        return true;
    return error_prefix(err, "\"%s\"", file->name);
}

static bool file_look(struct vmdk_file *file, struct error *err)
{
    struct stat about;
    if (fstat(file->fd, &about) < 0)
        return error_set_errno(err, errno, "\"%s\"", file->name);
    if (!S_ISREG(about.st_mode))
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\" is no regular file", file->name);
    file->size_bytes = (uint64_t)about.st_size;
    file->device = about.st_dev;
    file->inode = about.st_ino;
    file->mtime_ns = (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec;
    return true;
}

static struct vmdk_file *file_new(struct vmdk_chain *chain, int fd, const char *name)
{
    struct vmdk_file *file = xcalloc(1, sizeof(*file));
    *file = (struct vmdk_file){.fd = fd, .name = xstrdup(name)};
    if ((chain->file_count & (chain->file_count + 1)) == 0)
        chain->files =
            xreallocarray(chain->files, chain->file_count * 2 + 2, sizeof(struct vmdk_file *));
    chain->files[chain->file_count++] = file;
    return file;
}

/* Takes fd; the chain owns the file from here, whether it can be used or not. */
static bool file_add(struct vmdk_chain *chain, int fd, const char *name,
                     struct vmdk_file **ret_file, struct error *err)
{
    *ret_file = file_new(chain, fd, name);
    return file_look(*ret_file, err);
}

static bool file_open(struct vmdk_chain *chain, const char *name, struct vmdk_file **ret_file,
                      struct error *err)
{
    int fd = -1;
    if (chain->file_count == VMDK_FILES_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "more than %u files", VMDK_FILES_MOST);
    if (!vmdk_name_check(name, err))
        return false;
    if (!chain->opener->open(chain->opener->context, name, &fd, err)) {
        if (err->fault == &FAULT_NOT_FOUND)
            err->fault = &FAULT_DISK_MISSING;
        return false;
    }
    return file_add(chain, fd, name, ret_file, err);
}

/* `name` as told in the descriptor `beside`, relative to the vm's directory. Heap. */
static char *name_join(const char *beside, const char *name)
{
    const char *slash = strrchr(beside, '/');
    if (slash == NULL)
        return xstrdup(name);
    return xasprintf("%.*s/%s", (int)(slash - beside), beside, name);
}

/* -- layers --------------------------------------------------------------------------------------- */

static bool sparse_extent(struct vmdk_extent *extent, enum vmdk_line_kind wanted, struct error *err)
{
    static const enum vmdk_sparse_kind kinds[] = {[VMDK_LINE_SPARSE] = VMDK_HOSTED,
                                                  [VMDK_LINE_COWD] = VMDK_COWD,
                                                  [VMDK_LINE_SESPARSE] = VMDK_SESPARSE};
    extent->kind = VMDK_EXTENT_SPARSE;
    if (!vmdk_sparse_open(extent->file, &extent->sparse, err))
        return false;
    if (extent->sparse.kind != kinds[wanted])
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\" is not of the kind that was told",
                         extent->file->name);
    if (extent->sparse.capacity_bytes < extent->length_bytes)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\" is smaller than was told",
                         extent->file->name);
    return true;
}

static bool flat_extent(struct vmdk_extent *extent, const struct vmdk_line *line, struct error *err)
{
    extent->kind = VMDK_EXTENT_FLAT;
    extent->file_offset = line->offset_sectors * VMDK_SECTOR_BYTES;
    if (extent->file_offset > extent->file->size_bytes ||
        extent->length_bytes > extent->file->size_bytes - extent->file_offset)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": truncated: %" PRIu64 " bytes told",
                         extent->file->name, extent->file_offset + extent->length_bytes);
    return true;
}

static bool line_open(struct vmdk_chain *chain, struct vmdk_layer *layer,
                      const struct vmdk_line *line, struct error *err)
{
    struct vmdk_extent *extent = &layer->extents[layer->extent_count];
    *extent = (struct vmdk_extent){.start_bytes = layer->size_bytes,
                                   .length_bytes = line->sectors * VMDK_SECTOR_BYTES};
    if (extent->length_bytes > DISK_SIZE_MOST - layer->size_bytes)
        return error_set(err, &FAULT_DISK_INVALID, "absurd capacity");
    layer->size_bytes += extent->length_bytes;
    layer->extent_count++;
    if (line->kind == VMDK_LINE_ZERO) {
        extent->kind = VMDK_EXTENT_ZERO;
        return true;
    }
    char *name = name_join(layer->descriptor_file->name, line->name);
    bool ok = vmdk_name_check(line->name, err) && file_open(chain, name, &extent->file, err);
    free(name);
    if (!ok)
        return error_prefix(err, "extent %zu", layer->extent_count);
    return line->kind == VMDK_LINE_FLAT ? flat_extent(extent, line, err)
                                        : sparse_extent(extent, line->kind, err);
}

static void layer_describe(struct vmdk_layer *layer, struct vmdk_descriptor *descriptor)
{
    layer->cid = descriptor->cid;
    layer->parent_cid = descriptor->parent_cid;
    layer->parent_name = descriptor->parent_name; /* taken */
    descriptor->parent_name = NULL;
    memcpy(layer->create_type, descriptor->create_type, sizeof(layer->create_type));
}

static bool layer_lines(struct vmdk_chain *chain, struct vmdk_layer *layer,
                        const struct vmdk_descriptor *descriptor, struct error *err)
{
    if (descriptor->line_count == 0)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": a descriptor without extents",
                         layer->descriptor_file->name);
    layer->extents = xcalloc(descriptor->line_count, sizeof(*layer->extents));
    for (size_t i = 0; i < descriptor->line_count; i++) {
        if (!line_open(chain, layer, &descriptor->lines[i], err))
            return false;
    }
    return true;
}

/* File names may be written in the encoding of the host that made them. */
static void name_to_utf8(const char *encoding, char **name)
{
    iconv_t converter = iconv_open("UTF-8", encoding);
    if (converter == (iconv_t)-1)
        return;
    size_t in_left = strlen(*name), out_left = in_left * 4;
    char *out = xcalloc(out_left + 1, 1);
    char *in_at = *name, *out_at = out;
    if (iconv(converter, &in_at, &in_left, &out_at, &out_left) != (size_t)-1 && in_left == 0) {
        free(*name);
        *name = out;
    } else {
        free(out);
    }
    iconv_close(converter);
}

static bool is_utf8(const char *text)
{
    iconv_t checker = iconv_open("UTF-16LE", "UTF-8");
    if (checker == (iconv_t)-1)
        return true;
    size_t in_left = strlen(text), out_left = in_left * 4 + 4;
    char *out = xcalloc(out_left, 1);
    char *in_at = (char *)(uintptr_t)text, *out_at = out;
    bool ok = iconv(checker, &in_at, &in_left, &out_at, &out_left) != (size_t)-1;
    free(out);
    iconv_close(checker);
    return ok;
}

static void descriptor_to_utf8(struct vmdk_descriptor *descriptor)
{
    for (size_t i = 0; i < descriptor->line_count; i++) {
        if (descriptor->lines[i].name != NULL && !is_utf8(descriptor->lines[i].name))
            name_to_utf8(descriptor->encoding, &descriptor->lines[i].name);
    }
    if (descriptor->parent_name != NULL && !is_utf8(descriptor->parent_name))
        name_to_utf8(descriptor->encoding, &descriptor->parent_name);
}

static bool descriptor_read(const struct vmdk_file *file, uint64_t offset, uint64_t length,
                            struct vmdk_descriptor *ret_descriptor, struct error *err)
{
    if (length > VMDK_DESCRIPTOR_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": a descriptor of %" PRIu64 " bytes",
                         file->name, length);
    char *text = xcalloc(length + 1, 1);
    bool ok = vmdk_file_read(file, text, (size_t)length, offset, err) &&
              vmdk_descriptor_parse(text, (size_t)length, ret_descriptor, err);
    free(text);
    if (!ok)
        return error_prefix(err, "\"%s\"", file->name);
    descriptor_to_utf8(ret_descriptor);
    return true;
}

/* One sparse file that holds its own descriptor. The name inside may be an old one: the extent is the
 * file itself. */
static bool layer_embedded(struct vmdk_layer *layer, struct error *err)
{
    struct vmdk_extent *extent = layer->extents = xcalloc(1, sizeof(*extent));
    layer->extent_count = 1;
    *extent = (struct vmdk_extent){.kind = VMDK_EXTENT_SPARSE, .file = layer->descriptor_file};
    if (!vmdk_sparse_open(extent->file, &extent->sparse, err))
        return false;
    layer->size_bytes = extent->length_bytes = extent->sparse.capacity_bytes;
    layer->parent_cid = VMDK_NO_PARENT;
    if (extent->sparse.descriptor_offset == 0)
        return true;
    struct vmdk_descriptor descriptor = {0};
    if (!descriptor_read(extent->file, extent->sparse.descriptor_offset,
                         extent->sparse.descriptor_bytes, &descriptor, err))
        return false;
    bool ok = descriptor.line_count <= 1;
    layer_describe(layer, &descriptor);
    vmdk_descriptor_fini(&descriptor);
    return ok || error_set(err, &FAULT_DISK_UNSUPPORTED,
                           "\"%s\": an embedded descriptor with several extents",
                           layer->descriptor_file->name);
}

static bool layer_open(struct vmdk_chain *chain, struct vmdk_layer *layer, struct error *err)
{
    char magic[4] = {0};
    const struct vmdk_file *file = layer->descriptor_file;
    if (!vmdk_file_read(file, magic, sizeof(magic), 0, err))
        return false;
    if (memcmp(magic, "KDMV", 4) == 0)
        return layer_embedded(layer, err);
    struct vmdk_descriptor descriptor = {0};
    if (!descriptor_read(file, 0, file->size_bytes, &descriptor, err))
        return false;
    layer_describe(layer, &descriptor);
    bool ok = layer_lines(chain, layer, &descriptor, err);
    vmdk_descriptor_fini(&descriptor);
    return ok;
}

/* -- chain ---------------------------------------------------------------------------------------- */

static bool same_file(const struct vmdk_file *a, const struct vmdk_file *b)
{
    return a->device == b->device && a->inode == b->inode;
}

static bool cycle_check(const struct vmdk_chain *chain, const struct vmdk_file *file,
                        struct error *err)
{
    for (unsigned i = 0; i < chain->layer_count; i++) {
        if (same_file(chain->layers[i].descriptor_file, file))
            return error_set(err, &FAULT_DISK_INVALID, "cyclic: \"%s\" is its own parent",
                             file->name);
    }
    return true;
}

static bool parent_check(const struct vmdk_layer *child, const struct vmdk_layer *parent,
                         struct error *err)
{
    if (child->parent_cid == parent->cid)
        return true;
    return error_set(err, &FAULT_DISK_INVALID,
                     "\"%s\" was changed after the snapshot: content id %08" PRIx32
                     " instead of %08" PRIx32,
                     parent->descriptor_file->name, parent->cid, child->parent_cid);
}

/* Opens the layer that stands in `name`, below those that are there. */
static bool chain_push(struct vmdk_chain *chain, const char *name, struct error *err)
{
    if (chain->layer_count == VMDK_LAYERS_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "a chain of more than %u snapshots",
                         VMDK_LAYERS_MOST);
    struct vmdk_file *file = NULL;
    if (!file_open(chain, name, &file, err) || !cycle_check(chain, file, err))
        return false;
    struct vmdk_layer *layer = &chain->layers[chain->layer_count++];
    *layer = (struct vmdk_layer){.descriptor_file = file, .parent_cid = VMDK_NO_PARENT};
    if (!layer_open(chain, layer, err))
        return false;
    return chain->layer_count == 1 || parent_check(layer - 1, layer, err);
}

bool vmdk_chain_open(struct vmdk_chain *chain, const struct disk_opener *opener, const char *name,
                     struct error *err)
{
    chain->opener = opener;
    if (!chain_push(chain, name, err))
        return false;
    for (;;) {
        const struct vmdk_layer *top = &chain->layers[chain->layer_count - 1];
        if (top->parent_cid == VMDK_NO_PARENT)
            break;
        if (top->parent_name == NULL)
            return error_set(err, &FAULT_DISK_INVALID, "\"%s\": its parent is not named",
                             top->descriptor_file->name);
        if (!vmdk_name_check(top->parent_name, err))
            return error_prefix(err, "parent");
        char *parent = name_join(top->descriptor_file->name, top->parent_name);
        bool ok = chain_push(chain, parent, err);
        free(parent);
        if (!ok)
            return error_prefix(err, "layer %u", chain->layer_count);
    }
    chain->opener = NULL;
    return true;
}

static bool single_open(struct vmdk_chain *chain, struct vmdk_file *file, struct error *err)
{
    struct vmdk_layer *layer = &chain->layers[chain->layer_count++];
    *layer = (struct vmdk_layer){.descriptor_file = file};
    if (!layer_embedded(layer, err))
        return false;
    return layer->parent_cid == VMDK_NO_PARENT ||
           error_set(err, &FAULT_DISK_UNSUPPORTED, "an image with a parent inside another file");
}

bool vmdk_chain_open_part(struct vmdk_chain *chain, int fd, uint64_t offset, uint64_t length,
                          struct error *err)
{
    struct vmdk_file *file = NULL;
    if (!file_add(chain, fd, "image", &file, err))
        return false;
    uint64_t rest = offset < file->size_bytes ? file->size_bytes - offset : 0;
    if (length > rest)
        return error_set(err, &FAULT_DISK_INVALID, "truncated: %" PRIu64 " bytes at %" PRIu64,
                         length, offset);
    file->start_bytes = offset;
    file->size_bytes = length > 0 ? length : rest;
    return single_open(chain, file, err);
}

bool vmdk_chain_open_over(struct vmdk_chain *chain, struct disk *bytes, struct error *err)
{
    struct vmdk_file *file = file_new(chain, -1, disk_describe(bytes));
    file->bytes = bytes;
    file->size_bytes = disk_size_bytes(bytes);
    return single_open(chain, file, err);
}

void vmdk_chain_fini(struct vmdk_chain *chain)
{
    for (unsigned i = 0; i < chain->layer_count; i++) {
        free(chain->layers[i].extents);
        free(chain->layers[i].parent_name);
    }
    for (size_t i = 0; i < chain->file_count; i++) {
        fd_closep(&chain->files[i]->fd);
        disk_close(chain->files[i]->bytes);
        free(chain->files[i]->name);
        free(chain->files[i]);
    }
    free(chain->files);
}
