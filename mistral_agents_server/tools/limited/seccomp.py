"""A filter on system calls: no sockets, no mounts, no new namespaces, no looking into other processes.

It is a second wall behind the namespaces, and the wall against the network where there are none.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from mistral_agents_server.tools.limited import kernel

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

# (x86_64, aarch64), from the kernel's unistd tables
_REFUSED = {
    "socket": (41, 198),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "open_by_handle_at": (304, 265),
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "mq_open": (240, 180),
    "io_uring_setup": (425, 425),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "memfd_secret": (447, 447),
}
_CLONE = (56, 220)
_CLONE3 = 435
_NEW_NAMESPACES = 0x7E020000

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16


def supported() -> bool:
    """Whether the call numbers of this machine are known."""
    return kernel.MACHINE in _ARCHITECTURES


def _program() -> bytes:
    column = list(_ARCHITECTURES).index(kernel.MACHINE)

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    refuse = step(_RETURN, _ERRNO | errno.EPERM)
    steps = [
        step(_LOAD, _ARCH),
        step(_JUMP_EQUAL, _ARCHITECTURES[kernel.MACHINE], yes=1),
        step(_RETURN, _KILL_PROCESS),
        step(_LOAD, _NUMBER),
    ]
    if kernel.MACHINE == "x86_64":
        steps += [step(_JUMP_GREATER_EQUAL, _X32_BIT, no=1), refuse]
    for numbers in _REFUSED.values():
        steps += [step(_JUMP_EQUAL, numbers[column], no=1), refuse]
    # clone3 hides its flags in memory: "no such call" makes the C library use clone, whose flags can be seen
    steps += [step(_JUMP_EQUAL, _CLONE3, no=1), step(_RETURN, _ERRNO | errno.ENOSYS)]
    steps += [step(_JUMP_EQUAL, _CLONE[column], no=3), step(_LOAD, _FIRST_ARGUMENT)]
    steps += [step(_JUMP_SET, _NEW_NAMESPACES, no=1), refuse, step(_RETURN, _ALLOW)]
    return b"".join(steps)


def install() -> None:
    """Put this process and all it starts under the filter. Needs `no_new_privs`.

    Raises:
        OSError: the kernel refused it.
    """
    program = _program()
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    pointer = ctypes.create_string_buffer(head, len(head))
    kernel.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(pointer))
