#!/usr/bin/env python3
"""A web app for tests, on asyncio alone: service.py PORT

| path | answer |
|---|---|
| `/` | a page with 30 images, a WebSocket, server-sent events and an upload; `result` holds what it found |
| `/image/N` | an SVG image |
| `/events` | an event for each POST to `/tick`, and nothing in between |
| `/sequence?count=N&pause=S` | N numbered events with pauses |
| `/pattern?bytes=N` | N bytes of the pattern, whose byte I is the exclusive or of both bytes of I modulo 65,521 |
| `/upload` | the number of bytes, their SHA-256, and whether they are the pattern, for a body of any framing |
| `/socket` | a WebSocket that echoes |
"""
import asyncio, base64, hashlib, struct, sys
from urllib.parse import parse_qs, urlsplit

PAGE = """<!doctype html><title>app</title><link rel="icon" href="data:,"><body>
%s
<script>
const result = {events: [], images: 0, echoed: 0, upload: null, protocols: {}};
for (const image of document.images) image.decode().then(() => result.images += 1);
const source = new EventSource("/events");
source.onmessage = event => { result.events.push([event.data, performance.now()]); if (event.data === "last") source.close(); };
source.onopen = () => result.isOpen = true;
const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
socket.binaryType = "arraybuffer";
socket.onopen = () => { for (let i = 0; i < 100; i += 1) socket.send(new Uint8Array(1000 * i).fill(i)); };
socket.onmessage = event => {
    const bytes = new Uint8Array(event.data);
    if (bytes.length === 1000 * result.echoed && bytes.every(byte => byte === result.echoed)) result.echoed += 1;
    if (result.echoed === 100) socket.close(1000, "done");
};
socket.onclose = event => result.close = event.code;
async function upload() {
    let left = 64;
    const body = new ReadableStream({
        pull(controller) {
            if (left === 0) return controller.close();
            left -= 1;
            controller.enqueue(new Uint8Array(65536).fill(7));
        },
    });
    const answer = await fetch("/upload", {method: "POST", body, duplex: "half"});
    result.upload = await answer.json();
}
if (location.protocol === "https:") upload().catch(error => console.error(String(error)));
const protocols = () => {
    const all = performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"));
    return [...new Set(all.filter(one => one.name.startsWith("http")).map(one => one.nextHopProtocol))];
};
</script>
""" % "\n".join(f'<img src="/image/{number}" width="20" height="20">' for number in range(30))

PERIOD = 65521
PATTERN = bytes(number >> 8 ^ number & 255 for number in range(PERIOD)) * 3
waiting = []


def pattern(start, count):
    return PATTERN[start % PERIOD:start % PERIOD + count]


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def run(self):
        try:
            while await self.request():
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writer.close()

    async def request(self):
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.method, target, _ = first.split(" ")
        self.fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        url = urlsplit(target)
        if url.path == "/socket":
            await self.socket()
            return False
        if url.path in ("/events", "/sequence"):
            await self.events(url)
            return True
        count, sum, is_pattern = 0, hashlib.sha256(), True
        async for part in self.body():
            is_pattern = is_pattern and part == pattern(count, len(part))
            count += len(part)
            sum.update(part)
        if url.path == "/upload":
            self.answer("application/json", '{"bytes": %d, "sha256": "%s", "pattern": %s}' % (count, sum.hexdigest(), str(is_pattern).lower()))
        elif url.path == "/pattern":
            size = int(parse_qs(url.query)["bytes"][0])
            self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for start in range(0, size, 65536):
                self.writer.write(pattern(start, min(65536, size - start)))
                await self.writer.drain()
        elif url.path == "/tick":
            data = parse_qs(url.query)["data"][0]
            for queue in waiting:
                queue.put_nowait(data)
            self.answer("text/plain", f"{len(waiting)}\n")
        elif url.path.startswith("/image/"):
            self.answer("image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><circle r="9"/></svg>')
        elif url.path == "/":
            self.answer("text/html; charset=utf-8", PAGE)
        else:
            self.answer("text/plain", "not found\n", "404 Not Found")
        await self.writer.drain()
        return True

    async def body(self):
        if "chunked" in self.fields.get("transfer-encoding", ""):
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                yield await self.reader.readexactly(size)
                await self.reader.readline()
            while (await self.reader.readline()).strip():
                pass
            return
        left = int(self.fields.get("content-length", "0"))
        while left > 0:
            part = await self.reader.read(min(left, 65536))
            if not part:
                raise ConnectionError
            left -= len(part)
            yield part

    def answer(self, kind, text, status="200 OK"):
        body = text.encode()
        self.writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n\r\n".encode() + body)

    async def events(self, url):
        self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n")
        if url.path == "/sequence":
            query = parse_qs(url.query)
            for number in range(int(query["count"][0])):
                await self.event(str(number))
                await asyncio.sleep(float(query["pause"][0]))
        else:
            queue = asyncio.Queue()
            waiting.append(queue)
            try:
                data = None
                while data != "last":
                    data = await queue.get()
                    await self.event(data)
            finally:
                waiting.remove(queue)
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def event(self, data):
        text = f"data: {data}\n\n".encode()
        self.writer.write(b"%x\r\n%b\r\n" % (len(text), text))
        await self.writer.drain()

    async def socket(self):
        key = self.fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        while True:
            first, second = await self.reader.readexactly(2)
            size = second & 127
            if size == 126:
                size, = struct.unpack(">H", await self.reader.readexactly(2))
            elif size == 127:
                size, = struct.unpack(">Q", await self.reader.readexactly(8))
            mask = await self.reader.readexactly(4)
            data = await self.reader.readexactly(size)
            whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
            length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65536 else b"\x7f" + struct.pack(">Q", size)
            self.writer.write(bytes([first]) + length + whole.to_bytes(size, "big"))
            await self.writer.drain()
            if first & 15 == 8:
                return


async def main():
    server = await asyncio.start_server(lambda reader, writer: Connection(reader, writer).run(), "127.0.0.1", int(sys.argv[1]), limit=1 << 17)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
