"""A peer written from docs/protocol.md alone: pyzmq, msgpack and cryptography, nothing of Rookery.

It dials a node, asks it for one block, and serves the blocks of one small file of its own until its input ends. It is
no member. Arguments: the node as PEERID@tcp://HOST:PORT, the network, our seed in hex, the key of the block to ask for
and the text of our file. Prints JSON lines.
"""

import hashlib
import json
import struct
import sys
import time

import msgpack
import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

HELLO, WELCOME, READY, REJECT, PING, PONG = 0, 1, 2, 3, 5, 6
REQUEST, RESPONSE, MISSING = range(3)
BLOBS = 1  # the channel
PRIME = 2**255 - 19


def curve_secret(seed: bytes) -> bytes:
    secret = bytearray(hashlib.sha512(seed).digest()[:32])
    secret[0], secret[31] = secret[0] & 248, secret[31] & 127 | 64
    return bytes(secret)


def curve_public(peer: bytes) -> bytes:
    y = int.from_bytes(peer, "little") % 2**255
    return ((1 + y) * pow(1 - y, -1, PRIME) % PRIME).to_bytes(32, "little")


def record(key: Ed25519PrivateKey, network: str) -> bytes:
    items = [2, network, key.public_key().public_bytes_raw(), None, int(time.time()), b"", bytes(16), bytes(16)]
    return msgpack.packb([*items, key.sign(b"rookery-record-2\0" + msgpack.packb(items))])


def blocks(content: bytes) -> dict[bytes, bytes]:
    """The one chunk of a small file, and the manifest whose key is the file's, last."""
    manifest = msgpack.packb([1, 1, len(content), 65536, hashlib.sha256(content).digest()])
    return {hashlib.sha256(block).digest(): block for block in (content, manifest)}


def messages(first: bytes, *own: bytes) -> list[tuple[int, bytes]]:
    (count,) = struct.unpack_from(">H", first, 2)
    payloads, large, found = first[4 + 5 * count :], iter(own), []
    for channel, length in struct.iter_unpack(">BI", first[4 : 4 + 5 * count]):
        if length >= 2**31:
            found.append((channel, next(large)))
        else:
            found.append((channel, payloads[:length]))
            payloads = payloads[length:]
    return found


def send(socket: zmq.Socket[bytes], message: list[object]) -> None:
    payload = msgpack.packb(message)
    socket.send(struct.pack(">BBHBI", 1, 0, 1, BLOBS, len(payload)) + payload)


def main(node: str, network: str, seed: str, wanted: str, text: str) -> None:
    key, (peer, endpoint) = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)), node.split("@")
    held = blocks(text.encode())
    print(json.dumps({"offers": list(held)[-1].hex()}), flush=True)
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    socket.curve_secretkey = secret = curve_secret(bytes.fromhex(seed))
    socket.curve_publickey = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    socket.curve_serverkey = curve_public(bytes.fromhex(peer))
    socket.connect(endpoint)
    socket.send(msgpack.packb([2, HELLO, [2], network, record(key, network), 0, None, {}]))
    poller, taken = zmq.Poller(), 0
    poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin, zmq.POLLIN)
    while sys.stdin.fileno() not in dict(poller.poll()):
        frames = socket.recv_multipart()
        if 0x90 <= frames[0][0] <= 0x9F:
            _, kind, *body = msgpack.unpackb(frames[0], strict_map_key=False)
            assert kind != REJECT, body
            if kind == WELCOME:
                socket.send(msgpack.packb([2, READY, body[1]]))
                send(socket, [2, REQUEST, 7, bytes.fromhex(wanted), 0])
            elif kind == PING:
                socket.send(msgpack.packb([2, PONG, taken, {}]))
        elif frames[0][0] == 1:
            for _, payload in messages(*frames):
                taken += 1
                _, tag, number, *body = msgpack.unpackb(payload)
                if tag == REQUEST:
                    value = held.get(body[0])
                    send(socket, [2, MISSING, number] if value is None else [2, RESPONSE, number, value])
                else:
                    print(json.dumps({"received": body[0].hex()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
