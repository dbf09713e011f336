# SPDX-License-Identifier: Apache-2.0
"""A file server on 127.0.0.1 for tests: GET with ranges and ETag, PUT; faults on demand."""
import http.server
import os
import re
import threading
import time


class Pace:
    """A line of so many bytes a second that all connections of one direction share. What a sleep takes too
    long is made up for, up to 50 ms."""

    def __init__(self):
        self.lock, self.free_at = threading.Lock(), 0.0

    def wait(self, length, rate):
        now = time.monotonic()
        with self.lock:
            self.free_at = max(self.free_at, now - 0.05) + length / rate
            until = self.free_at
        time.sleep(max(0, until - now))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def path_of(self):
        return os.path.join(self.server.root, os.path.basename(self.path))

    def do_GET(self):
        settings = self.server
        settings.requests.append((self.command, self.path, self.headers.get("Range")))
        if settings.token and self.headers.get("Authorization") != settings.token:
            return self.answer(401)
        try:
            file = open(self.path_of(), "rb")
        except OSError:
            return self.answer(404)
        with file:
            size = os.fstat(file.fileno()).st_size
            found = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
            guard = self.headers.get("If-Range")
            if not found or settings.no_ranges or (settings.etag and guard and guard != settings.etag):
                return self.send_part(file, 200, 0, size, size)
            first = int(found[1])
            last = min(int(found[2] or size - 1), size - 1)
            self.send_part(file, 206, first, last - first + 1, size)

    def send_part(self, file, status, first, length, size):
        settings = self.server
        self.send_response(status)
        if settings.etag:
            self.send_header("ETag", settings.etag)
        self.send_header("Content-Length", str(length))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{first + length - 1}/{size}")
        self.end_headers()
        if settings.break_every and len(settings.requests) % settings.break_every == 0:
            length //= 2  # and hang up
            self.close_connection = True
        if settings.rate or settings.scheme == "https":
            file.seek(first)
            while length > 0:
                data = file.read(min(length, 65536 if settings.rate else 1 << 20))
                if settings.rate:
                    settings.down.wait(len(data), settings.rate)
                self.wfile.write(data)
                length -= len(data)
        else:
            self.wfile.flush()
            while length > 0:
                sent = os.sendfile(self.connection.fileno(), file.fileno(), first, length)
                first, length = first + sent, length - sent

    def do_PUT(self):
        settings = self.server
        settings.requests.append((self.command, self.path, self.headers.get("Content-Length")))
        if settings.refuse:
            self.close_connection = True
            self.answer(settings.refuse)
            self.wfile.flush()
            while self.rfile.read1(1 << 20):  # a reset would tear the answer away
                pass
            return None
        length = int(self.headers["Content-Length"])
        with open(self.path_of(), "wb") as file:
            while length > 0:
                data = self.rfile.read1(min(length, 1 << 20))
                if not data:
                    return None
                if settings.rate:
                    settings.up.wait(len(data), settings.rate)
                file.write(data)
                length -= len(data)
        return self.answer(201)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, root, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.etag, self.token, self.rate = str(root), '"one"', None, 0
        self.no_ranges, self.break_every, self.refuse = False, 0, 0
        self.requests, self.down, self.up = [], Pace(), Pace()
        self.scheme = "https" if context else "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that hung up

    def url(self, name):
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/{name}"
