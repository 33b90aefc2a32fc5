"""An HTTP proxy that inspects TLS, and writes what it reads into files.

    recorder.py serve PORT CERTIFICATE KEY FOLDER
    recorder.py search FOLDER NEEDLES

serve: answers CONNECT, ends the client's TLS with its own certificate, speaks TLS with the server without checking it,
and passes everything on. For each connection it writes the clear bytes of both directions into FOLDER. Behind the upgrade
these are the payloads of the WebSocket's frames, unmasked.

search: prints the number of bytes in the files of FOLDER and its folders. Then it prints each line of NEEDLES that a file
contains, with the file. A line is `bytes HEXADECIMAL`, or `number N` for a number with other characters around it.
"""

import os
import re
import socket
import ssl
import sys
import threading


def head(stream):
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            raise EOFError
        data += more
    end = data.index(b"\r\n\r\n") + 4
    return data[:end], data[end:]


class Frames:
    """Reads the frames of RFC 6455, and returns their payloads unmasked."""

    def __init__(self):
        self.data = bytearray()

    def receive(self, more):
        self.data += more
        payloads = []
        while True:
            data = self.data
            if len(data) < 2:
                return payloads
            length, start = data[1] & 0x7F, 2
            if length >= 126:
                width = 2 if length == 126 else 8
                if len(data) < start + width:
                    return payloads
                length = int.from_bytes(data[start : start + width], "big")
                start += width
            masked = data[1] & 0x80
            if len(data) < start + (4 if masked else 0) + length:
                return payloads
            mask = bytes(4)
            if masked:
                mask, start = bytes(data[start : start + 4]), start + 4
            payload = bytes(data[start : start + length])
            if masked and length:
                key = (mask * (length // 4 + 1))[:length]
                number = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
                payload = number.to_bytes(length, "big")
            payloads.append(payload)
            del data[: start + length]


def relay(source, sink, frames, record, early):
    data = early
    try:
        while True:
            for payload in frames.receive(data):
                record.write(payload)
            record.flush()
            sink.sendall(data)
            data = source.recv(65536)
            if not data:
                break
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, number, context, folder):
    request, _ = head(client)
    host, port = request.split()[1].decode().rsplit(":", 1)
    server = socket.create_connection((host, int(port)))
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    client = context.wrap_socket(client, server_side=True)
    outside = ssl.create_default_context()
    outside.check_hostname = False
    outside.verify_mode = ssl.CERT_NONE
    server = outside.wrap_socket(server, server_hostname=host)
    with open(f"{folder}/{number}.up", "wb") as up, open(f"{folder}/{number}.down", "wb") as down:
        request, early = head(client)
        server.sendall(request)
        answer, late = head(server)
        client.sendall(answer)
        with open(f"{folder}/{number}.heads", "wb") as heads:
            heads.write(request + answer)
        back = threading.Thread(target=relay, args=(server, client, Frames(), down, late))
        back.start()
        relay(client, server, Frames(), up, early)
        back.join()


def listen(port, certificate, key, folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", int(port)))
    number = 0
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, number, context, folder), daemon=True).start()
        number += 1


def contains(data, line):
    kind, text = line.split()
    if kind == "number":
        return re.search(b"(?<![0-9A-Za-z])" + text.encode() + b"(?![0-9A-Za-z])", data) is not None
    return bytes.fromhex(text) in data


def search(folder, needles):
    with open(needles) as lines:
        wanted = lines.read().splitlines()
    count, found = 0, []
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            with open(f"{path}/{name}", "rb") as record:
                data = record.read()
            count += len(data)
            found += [f"{line} {name}" for line in wanted if contains(data, line)]
    print(count)
    for line in found:
        print(line)


if __name__ == "__main__":
    {"serve": listen, "search": search}[sys.argv[1]](*sys.argv[2:])
