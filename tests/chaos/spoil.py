# SPDX-License-Identifier: Apache-2.0
"""Damages a finished run in each way that the invariants must see: a check of the checks."""
import json

SPOILT = {"content", "left", "ledger", "server", "both ends", "stopped", "events", "acknowledged", "rest"}


def log(lab, **fields):
    line = {"at_us": 0, "mono_ms": 0, "owner": "0" * 36, "job": "", "attempt": 1, "run": 1,
            "detail": "", **fields}
    with open(lab.world / "log", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def spoil(lab):
    world = lab.world
    kept = lab.rows("SELECT LOWER(HEX(id)) FROM migrations WHERE state = 'VERIFIED'"
                    " AND vm_name LIKE 'fake-%' ORDER BY id")
    servers = {json.loads(path.read_text())["migration"].replace("-", ""): path
               for path in sorted((world / "servers").glob("*.json"))}
    assert len(kept) >= 4, "spoiling needs four migrations that are VERIFIED"
    first, second, third, fourth = (row[0] for row in kept[:4])
    disk = world / json.loads(servers[first].read_text())["disks"][0]
    with open(disk, "r+b") as file:                                            # content
        file.seek(4096)
        byte = file.read(1)
        file.seek(4096)
        file.write(bytes([byte[0] ^ 1]))
    servers[second].unlink()                                                   # server
    (world / "disks" / "00000000-0000-0000-0000-000000000000-1-0").write_bytes(b"")  # left
    lab.rows(f"DELETE FROM ledger WHERE owner_id = UNHEX('{third}') AND kind = 'disk'")  # ledger
    log(lab, end="source", deed="power_on", key="vm-999998")                   # both ends
    log(lab, end="destination", deed="power_on", key="vm-999998", detail="a server")
    log(lab, end="source", deed="power_off", key="vm-999996")                  # stopped
    lab.rows("UPDATE events SET data_json = REPLACE(data_json, '\"to\":\"DEPLOYED\"',"
             f" '\"to\":\"CLEANED\"') WHERE owner_id = UNHEX('{fourth}')")      # events
    lab.rows(f"UPDATE migrations SET state = 'FAILED' WHERE id = UNHEX('{fourth}')")  # rest
    lab.rows("DELETE FROM wishes ORDER BY id DESC LIMIT 1000")                 # acknowledged
