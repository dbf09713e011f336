# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that can be told to misbehave: one thread, any number of doors.

A door listens on a port of 127.0.0.1 and passes bytes to one address. `stall` stops passing and keeps
connections open (a frozen peer, a cable pulled out); `refuse` closes what there is and each new
connection at once; `cut` closes what there is, once; `swallow` throws away what is sent to one side.
"""
import asyncio
import threading

PASS, STALL, REFUSE, SWALLOW = "pass", "stall", "refuse", "swallow"


class Door:
    def __init__(self, name, address):
        self.name, self.mode = name, PASS
        self.host, port = address.rsplit(":", 1)
        self.target_port = int(port)
        self.port = 0
        self.writers = set()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close_all(self):
        for writer in list(self.writers):
            writer.transport.abort()

    async def serve(self, reader, writer):
        if self.mode == REFUSE:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self.writers |= {writer, far_writer}
        try:
            await asyncio.gather(self.pump(reader, far_writer, True),
                                 self.pump(far_reader, writer, False))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()
                self.writers.discard(end)

    async def pump(self, reader, writer, to_peer):
        try:
            while data := await reader.read(65536):
                while self.mode == STALL:
                    await asyncio.sleep(0.05)
                if self.mode == SWALLOW and to_peer:
                    continue
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Proxy:
    def __init__(self):
        self.doors = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="proxy", daemon=True)
        self.thread.start()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def door(self, name, address):
        """The door of that name, opened when it is new."""
        if name in self.doors:
            return self.doors[name]
        made = Door(name, address)
        server = self._run(asyncio.start_server(made.serve, "127.0.0.1", 0))
        made.port = server.sockets[0].getsockname()[1]
        self.doors[name] = made
        return made

    def set_mode(self, name, mode):
        door = self.doors[name]

        def change():
            before, door.mode = door.mode, mode
            if mode == REFUSE or before == SWALLOW:  # a stream with a hole in it is of no use
                door.close_all()
        self.loop.call_soon_threadsafe(change)

    def cut(self, name):
        self.loop.call_soon_threadsafe(self.doors[name].close_all)

    def heal(self):
        for name in self.doors:
            self.set_mode(name, PASS)
