# SPDX-License-Identifier: GPL-2.0
"""Talking to QEMU and to what runs in it, by lines over sockets."""

import json
import select
import time

from lib.tap import PATIENCE, Failure


class Channel:
    """A socket that carries lines. Every wait ends with a line, the peer's death, a timeout, or an
    exception from @alive, which is called about every second."""

    def __init__(self, name, sock, alive):
        self.name = name
        self.sock = sock
        self.alive = alive
        self.received = b""

    def send(self, line):
        try:
            self.sock.sendall(line.encode() + b"\n")
        except OSError as error:
            raise Failure(f"{self.name}: {error}") from error

    def receive(self, deadline, what):
        while b"\n" not in self.received:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure(f"{self.name}: timeout, waiting for {what}")
            if not select.select([self.sock], [], [], min(left, 1))[0]:
                self.alive()
                continue
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.alive()
                raise Failure(f"{self.name}: closed, waiting for {what}")
            self.received += data
        line, self.received = self.received.split(b"\n", 1)
        return line.decode()

    def close(self):
        self.sock.close()


class Qmp:
    """QEMU's monitor."""

    def __init__(self, sock, alive):
        self.channel = Channel("QMP", sock, alive)
        self.events = []
        # Of the last command. Not what anybody had before us on the same monitor, whose answers,
        # to what they have not waited for, may come yet.
        self.id = time.monotonic_ns()

    def _receive(self, deadline, what):
        """The next message; None if it is an event, which is kept."""
        message = json.loads(self.channel.receive(deadline, what))
        if "event" not in message:
            return message
        self.events.append(message)
        return None

    def greet(self):
        """Wait until QEMU is ready."""
        self._receive(time.monotonic() + PATIENCE, "QEMU")
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        self.id += 1
        request = {"execute": name, "id": self.id}
        if arguments:
            request["arguments"] = {key.replace("_", "-"): value
                                    for key, value in arguments.items()}
        self.channel.send(json.dumps(request))
        deadline = time.monotonic() + PATIENCE
        while not (answer := self._receive(deadline, f"the answer to {name}")) or (
                answer.get("id") != self.id):
            pass
        if "error" in answer:
            raise Failure(f'QMP {name}: {answer["error"]["desc"]}')
        return answer["return"]

    def wait_event(self, name, **data):
        """Wait for an event that contains @data, and return its contents. Earlier events count,
        too, but each only once."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for event in self.events:
                holds = event.get("data", {})
                if event["event"] == name and data.items() <= holds.items():
                    self.events.remove(event)
                    return holds
            self._receive(deadline, f'{name} {data or ""}')

    def close(self):
        self.channel.close()
