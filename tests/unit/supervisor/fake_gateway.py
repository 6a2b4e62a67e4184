"""A gateway process in miniature: it speaks the control protocol and answers every request with its pid and generation.

Names of routes in the table make it misbehave: "refuse" (refuses the table), "crash" (dies on it), "mute" (gives no
answer), "stubborn" (hears no drain and no stop). A request for /hold is answered when the client sends one more byte.
Below /.well-known/acme-challenge/ it tells what authorities are to be answered, by token or server name.
"""

import json
import os
import select
import socket
import struct
import sys
import threading

PROBLEM = {"code": "P201", "severity": "error", "path": ["route", "refuse"], "message": "refused", "hint": "do not"}
WELL_KNOWN = b"/.well-known/acme-challenge/"
REQUEST = {"method": "GET", "scheme": "http", "host": "localhost", "path": "/", "query": None, "client_ip": None}
SENT = {"method": "GET", "target": "/"}
EXPLANATION = {
    "request": {**REQUEST, "client_id": "unix"},
    "listener": "http",
    "route": None,
    "others": [],
    "policies": [],
    "outcome": {"kind": "forward", "upstream": "web", "targets": []},
}
"""What it says of every request that it is asked to explain; policies of fields set theirs."""


class FakeGateway:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.generation = 0
        self.listeners: dict[str, tuple[socket.socket, threading.Thread]] = {}
        self.busy = 0
        self.changed = threading.Condition()
        self.stubborn = False
        self.answers: dict[str, str] = {}
        """By token, and certificates by server name."""

    def run(self) -> int:
        self.send({"type": "hello", "pid": os.getpid(), "version": "fake"})
        while True:
            message, descriptors = self.receive()
            if message is None:
                self.finish(30)
            code = getattr(self, message["type"])(message, descriptors)
            if code is not None and not self.stubborn:
                return code

    def apply(self, message: dict, descriptors: list[int]) -> None:
        routes = message["table"]["route"]
        if "crash" in routes:
            os._exit(7)
        if "mute" in routes:
            return
        if "refuse" in routes:
            for descriptor in descriptors:
                os.close(descriptor)
            self.send({"type": "refused", "generation": message["generation"], "problems": [PROBLEM]})
            return
        self.stubborn = "stubborn" in routes
        self.table = message["table"]
        self.generation = message["generation"]
        for entry, descriptor in zip(message["sockets"], descriptors, strict=True):
            self.listen(entry["bind"], socket.socket(fileno=descriptor))
        named = {bind for listen in message["table"]["listen"].values() for bind in listen["bind"]}
        for bind in self.listeners.keys() - named:
            self.close(bind)
        self.send({"type": "applied", "generation": self.generation, "workers": 1})

    def admin(self, _: dict, descriptors: list[int]) -> None:
        (self.admin_line,) = descriptors

    def keys(self, _: dict, __: list[int]) -> None:
        """It seals nothing."""

    def challenges(self, message: dict, _: list[int]) -> None:
        certificates = {name: one["chain"] for name, one in message["certificates"].items() if one["names"] == [name]}
        self.answers = {**message["tokens"], **certificates}

    def forget(self, _: dict, __: list[int]) -> None:
        self.send({"type": "forgot"})

    def reopen(self, _: dict, __: list[int]) -> None:
        self.send({"type": "reopened", "error": "it is gone" if "gone" in self.table["route"] else None})

    def explain(self, message: dict, _: list[int]) -> None:
        edits = [policy["kind"]["request"]["set"] for policy in self.table["policy"].values()]
        told = {**EXPLANATION, "sent": {**SENT, "headers": [field for each in edits for field in each.items()]}}
        self.send({"type": "explained", "generation": message["generation"], "explanation": told, "error": None})

    def rendezvous(self, _: dict, descriptors: list[int]) -> None:
        """It waits for no other supervisor."""
        for descriptor in descriptors:
            os.close(descriptor)

    def drain(self, message: dict, _: list[int]) -> None:
        if not self.stubborn:
            threading.Thread(target=self.finish, args=(message["deadline_ms"] / 1000,)).start()

    def finish(self, seconds: float) -> None:
        for bind in list(self.listeners):
            self.close(bind)
        with self.changed:
            self.changed.wait_for(lambda: self.busy == 0, seconds)
        self.send({"type": "drained"})
        os._exit(0)

    def stop(self, _: dict, __: list[int]) -> int:
        return 0

    def status(self, _: dict, __: list[int]) -> None:
        counts = {"connections": self.busy, "requests": 0, "workers": 1}
        self.send({"type": "status", "generation": self.generation, **counts, "upstreams": {}})

    def listen(self, bind: str, listener: socket.socket) -> None:
        wake, woken = socket.socketpair()
        thread = threading.Thread(target=self.accept_all, args=(listener, woken), daemon=True)
        self.listeners[bind] = (wake, thread)
        thread.start()

    def close(self, bind: str) -> None:
        wake, thread = self.listeners.pop(bind)
        wake.close()
        thread.join()

    def accept_all(self, listener: socket.socket, woken: socket.socket) -> None:
        with listener, woken:
            while woken not in select.select([listener, woken], [], [])[0]:
                connection, _ = listener.accept()
                self.count(1)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = connection.recv(65536)
                if b"/hold" in request:
                    connection.recv(1)
                told = {"pid": os.getpid(), "generation": self.generation}
                if WELL_KNOWN in request:
                    token = request.split(WELL_KNOWN)[1].split(b" ")[0].decode()
                    told["answer"] = self.answers.get(token)
                body = json.dumps(told).encode()
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )
            finally:
                self.count(-1)

    def count(self, change: int) -> None:
        with self.changed:
            self.busy += change
            self.changed.notify_all()

    def send(self, message: dict) -> None:
        body = json.dumps(message).encode()
        self.control.sendall(struct.pack(">I", len(body)) + body)

    def receive(self) -> tuple[dict | None, list[int]]:
        head, descriptors, _, _ = socket.recv_fds(self.control, 4, 250)
        if not head:
            return None, []
        head += self.exactly(4 - len(head))
        return json.loads(self.exactly(struct.unpack(">I", head)[0])), descriptors

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self.control.recv(count - len(data))
        return data


if __name__ == "__main__":
    code = FakeGateway(socket.socket(fileno=int(sys.argv[-1]))).run()
    os._exit(code)
