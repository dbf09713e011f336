# SPDX-License-Identifier: Apache-2.0
"""Who may include whom (design, "Rooms"); which file may include which library."""
import re

INCLUDE = re.compile(r'^#include ([<"])([^>"]+)[>"]', re.M)

BELOW = ["common/base", "common/conf", "common/json"]
COMMON = BELOW + ["common/http", "common/openstack", "common/db", "common/daemon", "common/store"]
# A room, and what it may include beside itself. The longest name that fits a path rules.
ROOMS = {
    "common/base": [],
    "common/conf": ["common/base"],
    "common/json": ["common/base"],
    "proto": BELOW,
    "common/db": ["common/base", "common/conf"],
    "common/http": ["common/base", "common/conf"],
    "common/openstack": ["common/base", "common/conf", "common/json", "common/http/client.h"],
    "common/daemon": BELOW + ["common/http"],
    "common/store": BELOW + ["common/db", "proto plain"],
    "manage": COMMON + ["proto plain"],
    "api": COMMON + ["proto"],
    "scheduler": COMMON + ["proto"],
    "migration": BELOW + ["common/http", "common/openstack", "common/daemon", "proto"],
    "client": ["common/base", "common/json", "common/http/client.h", "common/openstack"],
}
# Headers of proto that show generated messages or the broker.
PROTO_INNER = ("proto/bus.h", "proto/bus_ops.h", "proto/codec.h", "proto/guts.pb-c.h")
GENERATED = ("proto/guts.pb-c.h",)

# A library's header, and the only places that may include it.
LIBRARIES = {
    r"mysql\.h|mysql/.*|mariadb/.*": (r"common/db/(\w+\.c|inside\.h)", 1),
    r"amqp.*\.h|rabbitmq-c/.*": (r"proto/bus_amqp\.h", 1),
    r"curl/.*": (r"common/http/client\.c|migration/disk/http\w*\.c", 6),
    r"libconfig\.h": (r"common/conf/\w+\.c", 1),
    r"microhttpd\.h": (r"common/http/\w+\.[ch]", 9),
    r"libnbd\.h": (r"migration/disk/nbd\w*\.[ch]", 2),
    r"yaml\.h": (r"common/openstack/tree\.c|client/cli/yaml_print\.c", 2),
    r"systemd/.*": (r"-", 0),
    r"glib.*|gio/.*": (r"-", 0),
}


def room_of(path):
    rooms = [room for room in ROOMS if path.startswith(room + "/")]
    return max(rooms, key=len, default=None)


def is_allowed(room, include):
    for other in [room] + ROOMS[room]:
        if include == other or include.startswith(other + "/"):
            return True
        if other == "proto plain" and include.startswith("proto/") and include not in PROTO_INNER:
            return True
    return False


def check_own(tree, file, line, include):
    room = room_of(file.path)
    if file.is_test and f"{file.folder}/{include}" in tree.by_path:
        return
    if "/" not in include:
        yield file.breach(line, f'"{include}": name it by its full path from the root')
    elif include not in tree.by_path and include not in GENERATED:
        yield file.breach(line, f'"{include}" is not in the tree')
    elif room is not None and not is_allowed(room, include):
        yield file.breach(line, f'{room} may not include "{include}"')
    elif include.endswith("/inside.h") and not file.is_test and not file.path.startswith(include[:-len("inside.h")]):
        yield file.breach(line, f'"{include}" belongs to its folder alone')


def check_file(tree, file, users):
    includes = [(file.line_of(match.start()), *match.groups())
                for match in INCLUDE.finditer(file.text)]
    for line, bracket, include in includes:
        if bracket == '"':
            yield from check_own(tree, file, line, include)
            continue
        for library, (where, _) in LIBRARIES.items():
            if not re.fullmatch(library, include) or file.is_test:
                continue
            users.setdefault(library, set()).add(file.path)
            if not re.fullmatch(where, file.path):
                yield file.breach(line, f"<{include}> may be included by {where} only")
    own = file.path[:-1] + "h"
    if file.path.endswith(".c") and own in tree.by_path and not file.is_test:
        inner = (own, file.folder + "/inside.h")  # a header that its folder shares includes the own
        if not includes or not includes[0][2].startswith((*inner, own[:-2] + "_")):
            yield file.breach(1, f'its own header "{own}" must come first')


def check(tree):
    users = {}
    for file in tree.c_files:
        yield from check_file(tree, file, users)
    for library, paths in users.items():
        if len(paths) > LIBRARIES[library][1]:
            yield f"{sorted(paths)[0]}:1: <{library}> has {len(paths)} users: {', '.join(sorted(paths))}"
