"""A chat over WebSockets: each message goes to everyone in the room, the sender too.

usage: server.py PORT
"""

import asyncio
import sys

from websockets.asyncio.server import broadcast, serve

room = set()


async def visit(socket):
    room.add(socket)
    try:
        await socket.send("welcome")
        async for message in socket:
            broadcast(room, message)
    finally:
        room.discard(socket)


async def main():
    async with serve(visit, "127.0.0.1", int(sys.argv[1]), max_size=1 << 20) as server:
        await server.serve_forever()


asyncio.run(main())
