"""The walls of the sandbox, each asked for from the kernel and left out where the kernel has none of its kind.

Three layers for each thing that matters, so that one fault opens nothing: network (a namespace without one, and a
filter that refuses sockets), files (Landlock: only code can be read, nothing can be written; another OS user), other
processes (Landlock's scope, the filter, another OS user). Numbers are those of Linux; see landlock(7), seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import pwd
import resource
import stat
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

JAIL_USER = "sohoa-jail"  # made by `make up` as root; `nobody` where it is missing
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 4, 38, 22
_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x20000, 0x08000000, 0x10000000, 0x40000000


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def die_with(parent: int) -> None:
    """End when the parent process ends (it must not have ended already)."""
    prctl(_PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:
        os._exit(1)


# -- namespaces and user --------------------------------------------------------------------------------------------
def leave_network() -> bool:
    """Namespaces of our own for network (no interface is up), IPC and mounts. False where the machine gives none."""
    kinds = _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWNS
    if os.geteuid() == 0:
        return _unshare(kinds)
    user, group = os.geteuid(), os.getegid()
    if not _unshare(kinds | _CLONE_NEWUSER):
        return False
    with suppress(OSError):  # without a mapping we are nobody in the new namespace: good as well
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def _unshare(kinds: int) -> bool:
    return bool(_LIBC.unshare(kinds) == 0)


_READ_ONLY, _NO_SUID, _NO_DEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 0x20, 0x1000, 0x4000, 0x40000
_STAGES = ("/mnt", "/media", "/srv", "/opt", "/home")  # where the new root is put together, unseen by others
_PIVOT_ROOT, _DETACH = {"x86_64": 155, "aarch64": 41}, 2


def leave_files(readable: list[Path]) -> bool:
    """A root of our own in which only these paths are, read-only: other names don't even exist. After `leave_network`.

    Besides, the interpreter may lie where another OS user couldn't go (below /root). False where it can't be had.
    """
    try:
        _mount("none", Path("/"), "", _REC | _PRIVATE)
        root = next(p for p in map(Path, _STAGES) if p.is_dir() and not any(p in path.parents for path in readable))
        _mount("tmpfs", root, "tmpfs", _NO_SUID | _NO_DEV, "size=1m,mode=755")
        for path in readable:
            _bring(path, root)
        old = root / "old"
        old.mkdir()
        _checked(_LIBC.syscall(_PIVOT_ROOT[platform.machine()], bytes(root), bytes(old)))
        os.chdir("/")
        _checked(_LIBC.umount2(b"/old", _DETACH))
        old = Path("/old")
        old.rmdir()
        with suppress(OSError):
            _mount("none", Path("/"), "", _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEV)
    except (OSError, KeyError, StopIteration):
        return False
    return True


def _bring(path: Path, root: Path) -> None:
    """One path into the new root; links stay links, so that names go on meaning what they mean."""
    path = Path(os.path.abspath(path))
    for parent in reversed(path.parents):
        _same(parent, root)
    target = root / path.relative_to("/")
    if any(os.path.ismount(place) for place in (target, *target.parents) if root in place.parents):
        return  # with a folder above it
    if path.is_symlink():
        _same(path, root)
        return
    target.mkdir(exist_ok=True) if path.is_dir() else target.touch()
    _mount(str(path), target, "", _BIND | _REC)
    with suppress(OSError):  # flags of the original that a user may not take away
        _mount("none", target, "", _REMOUNT | _BIND | _READ_ONLY | _NO_SUID)


def _same(path: Path, root: Path) -> None:
    """A folder on the way, or a link and where it leads."""
    target = root / path.relative_to("/")
    if path.is_symlink() and not target.is_symlink():
        target.symlink_to(os.readlink(path))
        _bring(path.parent / os.readlink(path), root)
    elif not target.exists() and path.is_dir():
        target.mkdir()


def _mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
    _checked(
        _LIBC.mount(source.encode(), bytes(target), kind.encode() or None, ctypes.c_ulong(flags), options.encode())
    )


def other_user() -> pwd.struct_passwd | None:
    """Who we can become: where we are root the jail's user, else `nobody`."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(JAIL_USER)
    except KeyError:
        return pwd.getpwnam("nobody")


def may_read(user: pwd.struct_passwd, paths: Iterable[Path]) -> bool:
    """Whether that user may enter all folders on the way to these paths, and open them. Links are followed."""
    for path in map(Path.resolve, paths):
        for place in (path, *path.parents):
            found = place.stat()
            needed = stat.S_IROTH if place == path else stat.S_IXOTH
            if found.st_uid != user.pw_uid and found.st_mode & needed == 0:
                return False
    return True


def become(user: pwd.struct_passwd | None) -> None:
    """That user, if any, without a single capability and without a way to get one."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    header = struct.pack("=Ii", 0x20080522, 0)
    if _LIBC.capset(header, bytes(24)):
        raise OSError(ctypes.get_errno(), "capabilities can't be dropped")
    prctl(_PR_SET_DUMPABLE, 0)  # nobody of the same user reads our memory or environment
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


# -- Landlock: files, signals, abstract sockets ---------------------------------------------------------------------
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all machines
_EXECUTE, _READ_FILE, _READ_DIR = 1, 4, 8
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # ABI → how many rights over files it knows
_READABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")


def landlock_version() -> int:
    """ABI of the kernel's Landlock; 0: none."""
    return max(0, int(_LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def code_folders(root: Path, package: str) -> list[Path]:
    """What the interpreter, its libraries and the product's own packages are read from. package: one more of these."""
    wanted = [Path(sys.prefix), Path(sys.base_prefix, "lib"), Path("/usr/lib"), Path("/usr/lib64"), Path("/lib")]
    wanted += [Path("/lib64"), Path("/usr/local/lib"), Path("/usr/share/zoneinfo"), Path("/usr/share/fonts")]
    wanted += [Path("/etc/ld.so.cache"), Path("/etc/localtime"), Path("/sys/devices/system/cpu"), Path("/proc/cpuinfo")]
    wanted += [
        Path(place) for place in sys.path if place and not root.is_relative_to(place)
    ]  # the project's own: not all
    wanted += [*(root / name for name in sorted({"blocks", "tasks", package})), *map(Path, _READABLE_DEVICES)]
    return [path for path in wanted if path.exists()]


def landlock(handles: Iterable[int]) -> int:
    """Read below these open paths, and nothing else, from now on and for ever; write nowhere. ABI in force, 0: none."""
    version = landlock_version()
    if not version:
        return 0
    rights = (1 << _RIGHTS[max(known for known in _RIGHTS if known <= version)]) - 1
    ruleset = _ruleset(rights, version)
    try:
        for handle in handles:
            folder = stat.S_ISDIR(os.fstat(handle).st_mode)
            rights = (_EXECUTE | _READ_FILE | _READ_DIR) if folder else _READ_FILE
            _checked(_LIBC.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, handle), 0))
        _restrict(ruleset)
    finally:
        os.close(ruleset)
    return version


def scope() -> None:
    """From now on no signal to, and no tracing of, processes that aren't ours (since ABI 6; tracing always)."""
    version = landlock_version()
    if version >= 6:
        ruleset = _ruleset(0, version)
        _restrict(ruleset)
        os.close(ruleset)


def _ruleset(files: int, version: int) -> int:
    network = 3 if version >= 4 else 0  # TCP: bind, connect
    scoped = 3 if version >= 6 else 0  # abstract sockets, signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("=QQQ", files, network, scoped)
    return _checked(_LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0))


def _restrict(ruleset: int) -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _checked(_LIBC.syscall(_RESTRICT_SELF, ruleset, 0))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


# -- seccomp: system calls ------------------------------------------------------------------------------------------
_ARCHITECTURE = {"x86_64": 0xC000003E}
# What no parser needs, by its number on x86_64. A socketpair stays: the event loop wakes itself by one.
_REFUSED = {
    "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "accept4": 288,
    "fork": 57, "vfork": 58, "execve": 59, "execveat": 322,
    "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
    "pidfd_send_signal": 424, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440, "process_mrelease": 448,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203,
    "sched_setattr": 314, "ioprio_set": 251, "migrate_pages": 256, "move_pages": 279,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "mount_setattr": 442, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "add_key": 248, "request_key": 249, "keyctl": 250,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "syslog": 103, "personality": 135,
    "iopl": 172, "ioperm": 173, "modify_ldt": 154, "vhangup": 153,
    "settimeofday": 164, "adjtimex": 159, "clock_settime": 227, "clock_adjtime": 305,
    "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "mq_open": 240, "mq_unlink": 241, "memfd_create": 319,
    "inotify_add_watch": 254, "fanotify_init": 300, "fanotify_mark": 301,
    # Landlock says nothing about these, or not in all its versions
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93, "lchown": 94,
    "fchownat": 260, "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
    "fremovexattr": 199, "setxattrat": 463, "removexattrat": 466, "truncate": 76,
    "rename": 82, "renameat": 264, "renameat2": 316, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "creat": 85,
    "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "unlink": 87, "unlinkat": 263,
    "mknod": 133, "mknodat": 259,
}  # fmt: skip
_CLONE, _CLONE3, _PRLIMIT = 56, 435, 302
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_0_HIGH = 0, 4, 16, 20  # offsets in struct seccomp_data
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_THREAD = 0x00010000


def _error(number: int) -> int:
    return 0x00050000 | number


def seccomp() -> bool:
    """Refuse the system calls above from now on, for ever. False where the machine has no filter, or is no x86-64."""
    architecture = _ARCHITECTURE.get(platform.machine())
    if architecture is None:
        return False
    program: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCH), (_JUMP_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER), (_JUMP_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL),  # the x32 calls
        (_JUMP_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _error(errno.ENOSYS)),  # its flags can't be seen: use clone
    ]  # fmt: skip
    for number in _REFUSED.values():
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _error(errno.EPERM))]
    program += [
        # a thread, never a process
        (_JUMP_EQUAL, 0, 4, _CLONE), (_LOAD, 0, 0, _ARGUMENT_0), (_JUMP_BITS, 1, 0, _THREAD),
        (_RETURN, 0, 0, _error(errno.EPERM)), (_RETURN, 0, 0, _ALLOW),
        # limits of oneself, of no other
        (_JUMP_EQUAL, 0, 3, _PRLIMIT), (_LOAD, 0, 0, _ARGUMENT_0), (_JUMP_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _error(errno.EPERM)), (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    filters = struct.pack("@HxxxxxxQ", len(program), ctypes.addressof(buffer))
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return bool(_LIBC.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(2), filters, ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0)


# -- limits ---------------------------------------------------------------------------------------------------------
def limit(memory: int, seconds: int, space: int) -> None:
    """Bytes of data, seconds of processor time from now on, bytes of address space. Soft and hard; files: none."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    for kind, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_CPU, spent + seconds + 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 128),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))
