#!/usr/bin/env python3
"""WebSockets with Python's library `websockets`: sockets.py serve PORT | visit URL LOOPBACK-PORT [CA]

The service echoes. The visitor sends messages of many sizes, several at once, pings, and closes with a code.
"""
import asyncio, os, socket, ssl, sys
import websockets


async def echo(connection, path=None):
    async for message in connection:
        await connection.send(message)


async def serve(port):
    async with websockets.serve(echo, "127.0.0.1", int(port), max_size=None):
        print("port", port, flush=True)
        await asyncio.Future()


async def one(url, port, context):
    # Before version 11 the library sets no name for TLS on a socket that it is given.
    options = {"ssl": context, "server_hostname": url.split("/")[2]} if context else {}
    link = socket.create_connection(("127.0.0.1", int(port)))
    async with websockets.connect(url, sock=link, max_size=None, **options) as connection:
        for size in [0, 1, 125, 126, 65535, 65536, 1_000_000]:
            data = os.urandom(size)
            await connection.send(data)
            assert await connection.recv() == data, size
        await connection.send("text \u00e9")
        assert await connection.recv() == "text \u00e9"
        await (await connection.ping())
        await connection.close(4000, "done")
    return connection.close_code


async def visit(url, port, authority=None):
    context = ssl.create_default_context(cafile=authority) if authority else None
    codes = await asyncio.gather(*[one(url, port, context) for _ in range(8)])
    print("closed with", *sorted(set(codes)), flush=True)


asyncio.run({"serve": serve, "visit": visit}[sys.argv[1]](*sys.argv[2:]))
