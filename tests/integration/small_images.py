# SPDX-License-Identifier: Apache-2.0
"""A small cloud that takes disks: Glance's images and Nova's servers, without networks and volumes. What goes
wrong is set by the test between calls."""
import hashlib
import json
import uuid

from small_cloud import Handler, SmallCloud

FLAVOR = {"id": "1", "name": "one", "ram": 4096, "vcpus": 4, "disk": 10}


class ImageHandler(Handler):
    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def checked(self):
        """Is the token good? An upload is refused before its body is read, as Keystone's middleware does."""
        good = self.token_is_good()
        if not good:
            self.refuse(401)
        return good

    def refuse(self, status):
        """What still comes is read and dropped: else the client would not see the answer."""
        self.answer(status, {}, Connection="close")
        self.body()

    def done(self):
        self.send_response(204)
        self.end_headers()

    def do_POST(self):
        cloud = self.server.cloud
        if self.path.endswith("/auth/tokens"):
            super().do_POST()
        elif not self.checked():
            return
        elif self.path.endswith("/images"):
            image = json.loads(self.body())
            cloud.images[image["id"]] = {**image, "status": "queued"}
            self.answer(201, cloud.images[image["id"]])
        else:
            server = json.loads(self.body())["server"]
            made = {**server, "id": str(uuid.uuid4()), "status": "ACTIVE", "addresses": {}}
            cloud.servers[made["id"]] = made
            self.answer(202, {"server": {"id": made["id"]}})

    def do_PUT(self):
        cloud = self.server.cloud
        image = cloud.images[self.path.split("/")[-2]]
        cloud.begun += 1
        if cloud.refuses_uploads > 0:
            cloud.refuses_uploads -= 1
            cloud.good.discard(self.headers.get("X-Auth-Token"))  # that was good a moment ago
        if not self.checked():
            return
        data = self.body()
        image.update(status="active", data=data, size=len(data), os_hash_algo="sha512",
                     os_hash_value=hashlib.sha512(data).hexdigest())
        self.done()

    def do_DELETE(self):
        cloud = self.server.cloud
        if self.checked():
            name = self.path.split("/")[-1]
            found = cloud.images.pop(name, None) or cloud.servers.pop(name, None)
            if found:
                self.done()
            else:
                self.answer(404, {})

    def do_GET(self):
        cloud = self.server.cloud
        parts = self.path.split("?")[0].strip("/").split("/")
        if not self.checked():
            return
        if parts[-1] == "file":
            self.give(cloud.images[parts[-2]]["data"])
        elif parts[-2] == "images":
            self.show({key: value for key, value in cloud.images.get(parts[-1], {}).items() if key != "data"})
        elif parts[-1] == "servers":
            self.answer(200, {"servers": [{"id": one} for one in cloud.servers]})
        elif parts[-2] == "servers" and parts[-1] != "detail":
            found = cloud.servers.get(parts[-1])
            self.show({"server": found} if found else {})
        elif self.path.split("?")[0].endswith("/flavors/detail"):
            self.answer(200, {"flavors": [FLAVOR]})
        else:
            super().do_GET()

    def show(self, found):
        self.answer(200 if found else 404, found)

    def give(self, data):
        """As Glance does over RBD: a range is refused, unless the store has them."""
        asked = self.headers.get("Range")
        if asked and not self.server.cloud.ranges:
            self.answer(400, {})
            return
        first, last = 0, len(data) - 1
        if asked:
            first, end = asked.removeprefix("bytes=").split("-")
            first, last = int(first), int(end or last)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(data[first:last + 1])


class SmallImages(SmallCloud):
    handler = ImageHandler

    def __init__(self, folder):
        self.images, self.servers = {}, {}
        self.refuses_uploads, self.begun, self.ranges = 0, 0, True
        super().__init__(folder, tls=False)
