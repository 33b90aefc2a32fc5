#!/usr/bin/env python3
"""A visitor that speaks HTTP/2 in raw frames: http2.py PORT COMMAND

The services answer with their name and the request's head, as those of the end-to-end tests do. Each line of the output is a
claim that holds; the first one that does not ends the program with 1.
"""
import socket, ssl, struct, sys, time

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PORT = int(sys.argv[1])


def claim(text, holds, found=""):
    print(("ok   " if holds else "FAIL ") + text + (f" ({found})" if found != "" else ""), flush=True)
    if not holds:
        sys.exit(1)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name, value):
    """A literal field that is not indexed."""
    def text(bytes):
        length, start = len(bytes), b""
        if length < 127:
            return bytes_of(length) + bytes
        start, length = b"\x7f", length - 127
        while length >= 128:
            start, length = start + bytes_of(length % 128 + 128), length // 128
        return start + bytes_of(length) + bytes
    return b"\0" + text(name.encode()) + text(value.encode())


def bytes_of(number):
    return bytes([number])


def head(path, name, method="GET", *more):
    fields = [(":method", method), (":scheme", "https"), (":authority", name), (":path", path), *more]
    return b"".join(field(*one) for one in fields)


class Ended(Exception):
    pass


class Connection:
    """A connection whose settings have been exchanged."""

    def __init__(self, name="one.example.test", window=None):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", PORT), timeout=20), server_hostname=name)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.buffer, self.stream, self.goaway = b"", -1, None
        settings = struct.pack(">HI", 4, window) if window is not None else b""
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings))

    def send(self, bytes):
        try:
            self.socket.sendall(bytes)
        except (ConnectionError, ssl.SSLError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise Ended(str(error))

    def receive(self, count):
        while len(self.buffer) < count:
            try:
                more = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError) as error:
                raise Ended(str(error))
            if not more:
                raise Ended("end")
            self.buffer += more
        part, self.buffer = self.buffer[:count], self.buffer[count:]
        return part

    def frame(self):
        """The next frame that is not the connection's own."""
        while True:
            start = self.receive(9)
            kind, flags, stream = start[3], start[4], struct.unpack(">I", start[5:])[0]
            payload = self.receive(int.from_bytes(start[:3], "big"))
            if kind == SETTINGS and not flags & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            elif kind == GOAWAY:
                self.goaway = struct.unpack(">II", payload[:8])
            elif kind == PING and flags & ACK or kind in (DATA, HEADERS, RST_STREAM):
                return kind, flags, stream, payload

    def request(self, path, name="one.example.test", method="GET", *more, ends=True):
        self.stream += 2
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), self.stream, head(path, name, method, *more)))
        return self.stream

    def answers(self, streams):
        """The bodies of streams; None for one that is reset."""
        bodies, left = {stream: b"" for stream in streams}, set(streams)
        while left:
            kind, flags, stream, payload = self.frame()
            if stream not in left:
                continue
            if kind == RST_STREAM:
                bodies[stream] = None
                left.discard(stream)
            if kind == DATA:
                bodies[stream] += payload
                if payload:
                    self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))) + frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", len(payload))))
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                left.discard(stream)
        return bodies

    def get(self, path="/", name="one.example.test"):
        stream = self.request(path, name)
        return self.answers([stream])[stream]


def interleaved():
    """1,000 requests for two names on one connection, up to 50 at a time, each with its own answer."""
    connection, number = Connection(), 0
    while number < 1000:
        asked = {}
        for _ in range(50):
            name = ["one", "two"][number * 7 % 3 % 2]
            asked[connection.request(f"/{number}", f"{name}.example.test")] = (name, number)
            number += 1
        for stream, body in connection.answers(list(asked)).items():
            name, own = asked[stream]
            if not (body or b"").startswith(f"{name}\nGET /{own} HTTP/1.1\r\n".encode()):
                claim(f"request {own} for {name} gets its answer", False, body)
    claim("1,000 requests for two names, 50 at a time, get their answers", True)


def ends(text, attack, *, code=None):
    """Claims that the server ends a connection that does this, and serves another visitor meanwhile."""
    other = Connection()
    other.get()
    connection = Connection()
    try:
        attack(connection)
        while True:
            connection.frame()
    except Ended as end:
        reason = str(end)
    except TimeoutError:
        reason = None
    claim(f"{text} ends the connection", reason is not None and (code is None or connection.goaway is None or connection.goaway[1] == code), connection.goaway)
    claim("and another visitor is served", other.get().startswith(b"one\n"))


def abuse():
    def rapid_reset(connection):
        for _ in range(20):
            connection.send(b"".join(reset_request(connection) for _ in range(100)))

    def reset_request(connection):
        connection.stream += 2
        return frame(HEADERS, END_HEADERS | END_STREAM, connection.stream, head("/", "one.example.test")) + frame(RST_STREAM, 0, connection.stream, b"\0\0\0\x08")

    def continuations(connection):
        connection.send(frame(HEADERS, END_STREAM, 1, head("/", "one.example.test")))
        for number in range(10_000):
            connection.send(frame(CONTINUATION, 0, 1, field(f"x-{number}", "y")))

    def empty_continuations(connection):
        connection.send(frame(HEADERS, END_STREAM, 1, head("/", "one.example.test")) + frame(CONTINUATION, 0, 1) * 10_000)

    def flood(bytes):
        def attack(connection):
            for _ in range(200):
                connection.send(bytes * 500)
        return attack

    def empty_data(connection):
        stream = connection.request("/", "one.example.test", "POST", ends=False)
        for _ in range(200):
            connection.send(frame(DATA, 0, stream) * 500)

    def overflow(connection):
        connection.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2)

    def beyond_window(connection):
        stream = connection.request("/never", "one.example.test", "POST", ends=False)
        for _ in range(400):
            connection.send(frame(DATA, 0, stream, b"x" * 16384))

    ends("a flood of resets", rapid_reset)
    ends("an endless head", continuations)
    ends("a head with endless empty frames", empty_continuations)
    ends("a flood of PING", flood(frame(PING, 0, 0, b"12345678")))
    ends("a flood of SETTINGS", flood(frame(SETTINGS, 0, 0)))
    ends("a flood of empty DATA", empty_data)
    ends("a window beyond 2^31", overflow)
    ends("more content than the window", beyond_window)

    connection = Connection()
    parts = head("/", "one.example.test", "GET", *((f"x-{number}", "y" * 1000) for number in range(60)))
    connection.send(frame(HEADERS, END_STREAM, 1, parts[:16384]))
    for start in range(16384, len(parts), 16384):
        connection.send(frame(CONTINUATION, END_HEADERS if start + 16384 >= len(parts) else 0, 1, parts[start:start + 16384]))
    try:
        answer = connection.answers([1])[1]
        claim("a list of fields of 60 kB is refused", answer is None or not answer.startswith(b"one\n"), answer)
    except Ended:
        claim("a list of fields of 60 kB ends the connection", True, connection.goaway)


def stalled():
    """Visitors that ask for much and read nothing."""
    held = []
    for _ in range(20):
        connection = Connection(window=65535)
        for _ in range(50):
            connection.request("/bytes/100000000")
        held.append(connection)
    zero = Connection(window=0)
    for _ in range(50):
        zero.request("/bytes/100000000")
    claim("another visitor is served", Connection().get().startswith(b"one\n"))
    print("stalled", flush=True)
    sys.stdin.readline()


def draining():
    """A request that runs while the server stops."""
    connection = Connection()
    stream = connection.request("/", "one.example.test", "POST", ends=False)
    connection.send(frame(DATA, 0, stream, b"begun"))
    ping = frame(PING, 0, 0, b"12345678")
    connection.send(ping)
    while connection.frame()[0] != PING:
        pass
    print("running", flush=True)
    try:
        connection.socket.settimeout(20)
        while connection.goaway is None:
            connection.send(ping)
            connection.frame()
            time.sleep(0.2)
        claim("GOAWAY without an error comes while the request runs", connection.goaway[1] == 0, connection.goaway)
        connection.send(frame(DATA, END_STREAM, stream, b" and done"))
        body = connection.answers([stream])[stream]
        claim("the request completes", body is not None and body.endswith(b"\r\n14\n"), body)
        while True:
            connection.frame()
    except Ended as end:
        claim("the connection ends behind it", str(end) == "end" and connection.goaway == (stream, 0), f"{end}, {connection.goaway}")


{"interleaved": interleaved, "abuse": abuse, "stalled": stalled, "draining": draining}[sys.argv[2]]()
