"""Runs Python as on a file system without locks: ``python no_locks.py ARGUMENT ...``.

A filter of system calls lets ``flock`` and the locks of ``fcntl`` fail as they do on NFS without
its lock service. The exit code is 77 where there are no such filters.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

# Of linux/prctl.h, linux/seccomp.h and linux/bpf_common.h; numbers of calls by architecture.
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.ENOLCK
_CALLS = {"x86_64": (73, 72), "aarch64": (32, 25)}  # flock, fcntl
_NUMBER, _COMMAND = 0, 24  # where the filter finds the call's number and its second argument
_LOCK_COMMANDS = (5, 6, 7)  # F_GETLK, F_SETLK, F_SETLKW


def _program(flock: int, fcntl: int) -> bytes:
    steps = [
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 6, 0, flock),  # jumps count from the next step: this leads to the last
        (_JUMP_IF_EQUAL, 0, 4, fcntl),  # any other call is allowed
        (_LOAD, 0, 0, _COMMAND),
        *((_JUMP_IF_EQUAL, 3 - i, 0, command) for i, command in enumerate(_LOCK_COMMANDS)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _FAIL),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def forbid_locks() -> bool:
    """Whether locks fail from now on, in this process and those that it starts."""
    calls = _CALLS.get(platform.machine())
    if sys.platform != "linux" or calls is None:
        return False
    program = _program(*calls)
    steps = ctypes.create_string_buffer(program)
    rules = _Filter(len(program) // 8, ctypes.cast(steps, ctypes.c_void_p))
    libc = ctypes.CDLL(None)
    refused: int = libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    refused |= libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(rules))
    return not refused


if __name__ == "__main__":
    if not forbid_locks():
        sys.exit(77)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606
