/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables "vms", "vm_disks", "vm_nics".
 */
#include "common/store/vm_view.h"

#include <assert.h>
#include <string.h>

#include "common/store/query.h"

#define COLUMNS                                                                                    \
    "v.id, v.project, v.source_id, s.name, v.vm_key, v.name, v.uuid, v.power, v.firmware, "        \
    "v.secure_boot, v.cpus, v.cores_per_socket, v.memory_mib, v.guest_os, v.host, v.annotation, "  \
    "v.obstacle_code, v.obstacle_text, v.capacity_bytes, v.disk_count, v.gone_at, v.created_at, "  \
    "v.updated_at, m.id, m.state"
#define TABLES                                                                                     \
    " FROM vms v LEFT JOIN sources s ON s.id = v.source_id "                                       \
    "LEFT JOIN migrations m ON m.open_vm = v.id WHERE 1 = 1"
enum column {
    ID,
    PROJECT,
    SOURCE_ID,
    SOURCE_NAME,
    KEY,
    NAME,
    UUID,
    POWER,
    FIRMWARE,
    SECURE_BOOT,
    CPUS,
    CORES_PER_SOCKET,
    MEMORY_MIB,
    GUEST_OS,
    HOST,
    ANNOTATION,
    OBSTACLE_CODE,
    OBSTACLE_TEXT,
    CAPACITY,
    DISK_COUNT,
    GONE_AT,
    CREATED_AT,
    UPDATED_AT,
    MIGRATION_ID,
    MIGRATION_STATE
};

static void read_machine(const struct db_rows *rows, size_t row, struct vm *vm)
{
    vm->key = db_rows_text(rows, row, KEY);
    vm->name = db_rows_text(rows, row, NAME);
    vm->uuid = db_rows_text(rows, row, UUID);
    vm->power = vm_power_parse(db_rows_text(rows, row, POWER));
    vm->firmware = vm_firmware_parse(db_rows_text(rows, row, FIRMWARE));
    vm->secure_boot = db_rows_unsigned(rows, row, SECURE_BOOT) != 0;
    vm->cpus = (uint32_t)db_rows_unsigned(rows, row, CPUS);
    vm->cores_per_socket = (uint32_t)db_rows_unsigned(rows, row, CORES_PER_SOCKET);
    vm->memory_mib = db_rows_unsigned(rows, row, MEMORY_MIB);
    vm->guest_os = db_rows_text(rows, row, GUEST_OS);
    vm->host = db_rows_text(rows, row, HOST);
    vm->annotation = db_rows_text(rows, row, ANNOTATION);
    vm->obstacle_code = db_rows_text(rows, row, OBSTACLE_CODE);
    vm->obstacle_text = db_rows_text(rows, row, OBSTACLE_TEXT);
}

static void read_vm(const struct db_rows *rows, size_t row, struct vm_view *vm)
{
    const char *state = db_rows_text(rows, row, MIGRATION_STATE);
    vm->id = db_rows_uuid(rows, row, ID);
    vm->project = db_rows_text(rows, row, PROJECT);
    vm->source_id = db_rows_uuid(rows, row, SOURCE_ID);
    vm->source_name = db_rows_text(rows, row, SOURCE_NAME);
    read_machine(rows, row, &vm->vm);
    vm->capacity_bytes = db_rows_unsigned(rows, row, CAPACITY);
    vm->disk_total = (uint32_t)db_rows_unsigned(rows, row, DISK_COUNT);
    vm->gone_at = db_rows_unsigned(rows, row, GONE_AT);
    vm->created_at = db_rows_unsigned(rows, row, CREATED_AT);
    vm->updated_at = db_rows_unsigned(rows, row, UPDATED_AT);
    vm->migration_id = db_rows_uuid(rows, row, MIGRATION_ID);
    vm->migration_state = state != NULL ? migration_state_parse(state) : MIGRATION_UNKNOWN;
}

/* "50%_" becomes "50\%\_%": a prefix is a prefix, whatever it holds. */
static const char *like_prefix(struct arena *arena, const char *prefix)
{
    char *pattern = arena_alloc(arena, strlen(prefix) * 2 + 2), *at = pattern;
    for (; *prefix != '\0'; prefix++) {
        if (*prefix == '%' || *prefix == '_' || *prefix == '\\')
            *at++ = '\\';
        *at++ = *prefix;
    }
    *at = '%';
    return pattern;
}

static void add_filter(struct query *query, const struct vm_filter *filter)
{
    query_match_text(query, " AND v.project = ?", filter->project);
    query_match_uuid(query, " AND v.source_id = ?", &filter->source_id);
    query_match_text(query, " AND v.name = ?", filter->name);
    if (filter->name_prefix != NULL && filter->name_prefix[0] != '\0')
        query_bind(query, " AND v.name LIKE ?",
                   db_text(like_prefix(query->arena, filter->name_prefix)));
    if (filter->has_power)
        query_bind(query, " AND v.power = ?", db_text(vm_power_name(filter->power)));
    if (filter->gone == VM_GONE_HIDDEN)
        query_add(query, " AND v.gone_at IS NULL");
    if (filter->gone == VM_GONE_ONLY)
        query_add(query, " AND v.gone_at IS NOT NULL");
}

/* The index that gives the order. The optimizer is told, since a rare filter would tempt it to read
 * all that matches and sort it, page after page. */
static const char *index_hint(const struct vm_filter *filter)
{
    if (filter->name_prefix != NULL)
        return filter->project != NULL ? " FORCE INDEX (by_name)" : " FORCE INDEX (by_name_site)";
    if (filter->name != NULL)
        return filter->project != NULL ? " FORCE INDEX (by_name)" : " FORCE INDEX (by_name_site)";
    if (!uuid_is_nil(&filter->source_id))
        return " FORCE INDEX (by_source)";
    return filter->project != NULL ? " FORCE INDEX (by_project)" : " FORCE INDEX (PRIMARY)";
}

bool vm_view_list(struct store *store, struct arena *arena, const struct vm_filter *filter,
                  const struct page *page, struct vm_list *ret_list, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    bool by_name = filter->name_prefix != NULL;
    query_add(&query, "SELECT " COLUMNS " FROM vms v");
    query_add(&query, index_hint(filter));
    query_add(&query, " LEFT JOIN sources s ON s.id = v.source_id "
                      "LEFT JOIN migrations m ON m.open_vm = v.id WHERE 1 = 1");
    add_filter(&query, filter);
    if (!(by_name ? query_page_by_key(&query, "v.name", "v.id", page, err)
                  : query_page_by_id(&query, "v.id", page, err)) ||
        !query_run(&query, store, &rows, err))
        return false;
    struct vm_list list = {.count = query_page_count(&query, rows)};
    list.items = arena_calloc(arena, list.count + 1, sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++)
        read_vm(rows, i, &list.items[i]);
    if (list.count > 0) {
        const struct vm_view *last = &list.items[list.count - 1];
        list.next = query_page_next(&query, rows, &last->id, by_name ? last->vm.name : "");
    }
    *ret_list = list;
    return true;
}

enum device_column {
    DEVICE_VM,
    DEVICE_KIND,
    DEVICE_NUMBER,
    DEVICE_KEY,
    DEVICE_BUS,
    DEVICE_CONTROLLER,
    DEVICE_INDEX,
    DEVICE_UNIT,
    DEVICE_CAPACITY,
    DEVICE_STORED,
    DEVICE_FORMAT,
    DEVICE_MAC,
    DEVICE_MODEL,
    DEVICE_NETWORK,
    DEVICE_CONNECTED
};

static const char *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static void read_disk(const struct db_rows *rows, size_t row, struct vm_disk *disk)
{
    disk->key = db_rows_text(rows, row, DEVICE_KEY);
    disk->bus = db_rows_text(rows, row, DEVICE_BUS);
    disk->controller = text_or_null(db_rows_text(rows, row, DEVICE_CONTROLLER));
    disk->controller_index = (uint32_t)db_rows_unsigned(rows, row, DEVICE_INDEX);
    disk->unit = (uint32_t)db_rows_unsigned(rows, row, DEVICE_UNIT);
    disk->capacity_bytes = db_rows_unsigned(rows, row, DEVICE_CAPACITY);
    disk->stored_bytes = db_rows_unsigned(rows, row, DEVICE_STORED);
    disk->format = db_rows_text(rows, row, DEVICE_FORMAT);
}

static void read_nic(const struct db_rows *rows, size_t row, struct vm_nic *nic)
{
    nic->mac = db_rows_text(rows, row, DEVICE_MAC);
    nic->model = text_or_null(db_rows_text(rows, row, DEVICE_MODEL));
    nic->network = db_rows_text(rows, row, DEVICE_NETWORK);
    nic->connected = db_rows_unsigned(rows, row, DEVICE_CONNECTED) != 0;
}

static void take_device(const struct db_rows *rows, size_t row, struct vm *vm)
{
    if (strcmp(db_rows_text(rows, row, DEVICE_KIND), "disk") == 0)
        read_disk(rows, row, &vm->disks[vm->disk_count++]);
    else
        read_nic(rows, row, &vm->nics[vm->nic_count++]);
}

static struct vm_view *find_vm(struct vm_view *vms, size_t count, const struct uuid *id)
{
    for (size_t i = 0; i < count; i++)
        if (uuid_equal(&vms[i].id, id))
            return &vms[i];
    return NULL;
}

struct device {
    struct uuid vm;
    bool is_nic;
    uint64_t number;
    size_t row;
};

static int compare_devices(const void *a, const void *b)
{
    const struct device *left = a, *right = b;
    int order = uuid_compare(&left->vm, &right->vm);
    if (order != 0)
        return order;
    if (left->is_nic != right->is_nic)
        return left->is_nic ? 1 : -1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* Sorted here: an ORDER BY over both tables would cost the server a table of its own each time. */
static struct device *sort_devices(struct arena *arena, const struct db_rows *rows)
{
    size_t count = db_rows_count(rows);
    struct device *devices = arena_calloc(arena, count + 1, sizeof(*devices));
    for (size_t i = 0; i < count; i++)
        devices[i] = (struct device){db_rows_uuid(rows, i, DEVICE_VM),
                                     strcmp(db_rows_text(rows, i, DEVICE_KIND), "nic") == 0,
                                     db_rows_unsigned(rows, i, DEVICE_NUMBER), i};
    qsort(devices, count, sizeof(*devices), compare_devices);
    return devices;
}

/* The devices of one vm stand together then, disks before NICs, each by number. */
static void take_devices(struct arena *arena, const struct db_rows *rows, struct vm_view *vms,
                         size_t vm_count)
{
    size_t count = db_rows_count(rows), next;
    const struct device *devices = sort_devices(arena, rows);
    for (size_t first = 0; first < count; first = next) {
        for (next = first + 1; next < count; next++)
            if (!uuid_equal(&devices[first].vm, &devices[next].vm))
                break;
        struct vm_view *view = find_vm(vms, vm_count, &devices[first].vm);
        if (view == NULL)
            continue; /* it was deleted between the two statements */
        view->vm.disks = arena_calloc(arena, next - first, sizeof(*view->vm.disks));
        view->vm.nics = arena_calloc(arena, next - first, sizeof(*view->vm.nics));
        for (size_t i = first; i < next; i++)
            take_device(rows, devices[i].row, &view->vm);
    }
}

bool vm_view_get_many(struct store *store, struct arena *arena, const struct uuid *ids,
                      size_t count, struct vm_view **ret_vms, struct error *err)
{
    static const char device_sql[] =
        "SELECT vm_id, 'disk', number, disk_key, bus, controller, controller_index, unit, "
        "capacity_bytes, stored_bytes, format, NULL, NULL, NULL, NULL FROM vm_disks "
        "WHERE vm_id IN (%LIST%) UNION ALL "
        "SELECT vm_id, 'nic', number, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, mac, model, "
        "network, connected FROM vm_nics WHERE vm_id IN (%LIST%)";
    struct db_value list[VM_VIEW_BATCH];
    struct db_rows *rows, *devices;
    assert(count <= VM_VIEW_BATCH);
    for (size_t i = 0; i < count; i++)
        list[i] = db_bytes(ids[i].bytes, UUID_BYTES);
    if (!db_query_list(store_db(store), arena, "SELECT " COLUMNS TABLES " AND v.id IN (%LIST%)",
                       NULL, 0, list, count, &rows, err) ||
        !db_query_list(store_db(store), arena, device_sql, NULL, 0, list, count, &devices, err))
        return false;
    size_t found = db_rows_count(rows);
    struct vm_view *vms = arena_calloc(arena, found + 1, sizeof(*vms));
    for (size_t i = 0; i < found; i++)
        read_vm(rows, i, &vms[i]);
    take_devices(arena, devices, vms, found);
    for (size_t i = 0; i < count; i++)
        ret_vms[i] = find_vm(vms, found, &ids[i]);
    return true;
}

bool vm_view_get(struct store *store, struct arena *arena, const char *project,
                 const struct uuid *id, struct vm_view *ret_vm, struct error *err)
{
    struct vm_view *vm;
    if (!vm_view_get_many(store, arena, id, 1, &vm, err))
        return false;
    if (vm == NULL || (project != NULL && strcmp(vm->project, project) != 0))
        return error_set(err, &FAULT_NOT_FOUND, "there is no vm \"%s\"", UUID_TEXT(id));
    *ret_vm = *vm;
    return true;
}
