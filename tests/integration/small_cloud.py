# SPDX-License-Identifier: Apache-2.0
"""An OpenStack that says yes: Keystone, and services whose lists are empty; behind TLS where asked for."""
import http.server
import json
import ssl
import subprocess
import threading

NAMES = {"detail": "flavors", "os-availability-zone": "availabilityZoneInfo", "os-keypairs": "keypairs",
         "limits": "limits", "networks": "networks", "subnets": "subnets", "ports": "ports",
         "security-groups": "security_groups", "types": "volume_types", "images": "images",
         "details": "quota", "flavors": "flavors", "servers": "servers"}
OBJECTS = {"limits", "quota"}
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), "Content-Type": "application/json",
                            **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        cloud = self.server.cloud
        cloud.asked.append(asked)
        if self.path != "/identity/v3/auth/tokens":
            self.answer(404, {})
            return
        self.answer(201, cloud.token_body(), X_Subject_Token=cloud.new_token())

    def token_is_good(self):
        return self.headers.get("X-Auth-Token") in self.server.cloud.good

    def do_GET(self):
        cloud = self.server.cloud
        path = self.path.split("?")[0]
        cloud.paths.append(path)
        if not self.token_is_good():
            self.answer(401, {})
            return
        name = NAMES.get(path.rsplit("/", 1)[-1])
        self.answer(200, {name: {} if name in OBJECTS else []} if name else {})

    def log_message(self, *_):
        pass


class SmallCloud:
    """folder: for certificates; tls False: plain HTTP; clients: certificates are asked of them."""
    handler = Handler

    def __init__(self, folder, tls=True, clients=False):
        self.folder, self.tokens, self.asked, self.paths = folder, 0, [], []
        self.good, self.lock = set(), threading.Lock()  # several jobs may hold a token each
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.server.cloud = self
        scheme = "http"
        if tls:
            scheme = "https"
            make_certificates(folder)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "server.pem", folder / "server.key")
            if clients:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(folder / "ca.pem")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}"
        self.auth_url = f"{self.url}/identity"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def new_token(self):
        with self.lock:
            self.tokens += 1
            self.good.add(f"token-{self.tokens}")
            return f"token-{self.tokens}"

    def token_body(self):
        def entry(kind, path):
            return {"type": kind, "endpoints": [
                {"region_id": region, "interface": interface, "url": f"{self.url}/{region}-{interface}{path}"}
                for region in ("north", "south") for interface in ("public", "internal")]}
        return {"token": {
            "issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2026-01-01T01:00:00.000000Z",
            "project": {"id": "p1", "name": "p"}, "user": {"id": "u1", "name": "u"}, "roles": [{"name": "member"}],
            "catalog": [entry("compute", "/v2.1"), entry("network", "/v2.0"), entry("image", "/v2")]}}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


def make_certificates(folder):
    """ca.pem signs server.pem and client.pem; other.pem is a stranger's."""
    for name in ("ca", "other"):
        openssl(folder, "req", "-x509", *NEW_KEY, "-days", "2", "-subj", f"/CN={name}", "-keyout",
                f"{name}.key", "-out", f"{name}.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(folder, "req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out",
                f"{name}.csr")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem")
