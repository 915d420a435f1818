"""A process of the host that holds a secret in every place where the probes look for one.

Prints where, as one line of JSON, and lives until its standard input closes.
"""

import ctypes
import json
import os
import secrets
import socket
import sys
import threading

DESCRIPTOR = 91
PR_SET_PTRACER = 0x59616D61
PTRACER_ANY = ctypes.c_ulong(-1)
IPC_CREAT, IPC_RMID = 0o1000, 0


def main(directory):
    secret = f"canary-{secrets.token_hex(16)}"
    if os.environ.get("CANARY") is None:
        # Once more, with the secret among the environment variables as the kernel shows them.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "CANARY": secret})
    secret = os.environ["CANARY"]
    name = secret[-12:]

    path = os.path.join(directory, "secret")
    write(path, secret)
    memory = ctypes.create_string_buffer(secret.encode())
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PTRACER, PTRACER_ANY, 0, 0, 0)

    deleted = os.path.join(directory, "deleted")
    write(deleted, secret)
    file = os.open(deleted, os.O_RDONLY)
    os.unlink(deleted)
    os.dup2(file, DESCRIPTOR)

    tcp = socket.create_server(("127.0.0.1", 0))
    abstract = listen("\0" + name)
    in_files = listen(os.path.join(directory, "socket"))
    os.chmod(os.path.join(directory, "socket"), 0o777)
    for listener in (tcp, abstract, in_files):
        threading.Thread(target=answer, args=(listener, secret.encode()), daemon=True).start()

    write(f"/dev/shm/{name}", secret)
    key = secrets.randbelow(2**31 - 2) + 1
    segment = libc.shmget(key, 4096, IPC_CREAT | 0o666)
    libc.shmat.restype = ctypes.c_void_p
    ctypes.memmove(libc.shmat(segment, None, 0), secret.encode(), len(secret))

    try:
        print(
            json.dumps(
                {
                    "secret": secret,
                    "path": path,
                    "pid": os.getpid(),
                    "address": ctypes.addressof(memory),
                    "descriptor": DESCRIPTOR,
                    "abstract": name,
                    "port": tcp.getsockname()[1],
                    "socket": os.path.join(directory, "socket"),
                    "shm": name,
                    "shm_key": key,
                }
            ),
            flush=True,
        )
        sys.stdin.read()
    finally:
        os.unlink(f"/dev/shm/{name}")
        libc.shmctl(segment, IPC_RMID, None)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o644)


def listen(address):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen()
    return listener


def answer(listener, secret):
    while True:
        client, _ = listener.accept()
        with client:
            client.sendall(secret)


if __name__ == "__main__":
    main(sys.argv[1])
