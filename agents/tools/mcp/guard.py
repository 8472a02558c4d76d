"""Start one MCP server as a process that can do little, watch it, and leave nothing of it behind.

A script of its own, run as `python -I -S guard.py PLAN` with an empty environment; PLAN is JSON: {command: [path, …],
env, home, uid (or null: stay who we are), parent: our parent's process id, limits: {name of a RLIMIT: value}}. stdin,
stdout and stderr become the server's. It ends when the server ends, when it is told to (SIGTERM), and when its parent
is gone, however that came about; before it does, it kills whatever descends from the server, and removes its home and,
where the server has an account of its own, all else that the account owns where everybody may write: it is lent again.
"""

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_FAILED = 127
#: Where everybody may write.
_SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")  # noqa: S108 # nosec B108 - to clear them
#: How far below those a folder is looked for in which everybody may write; in one of those: without end.
_LEVELS = 3
_IPC_RMID = 0


def main(plan: dict[str, Any]) -> int:
    """Run the server; returns its exit status, 127 when it could not be started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what the server leaves to itself becomes ours, and ends with it
    if os.getppid() != plan["parent"]:
        return _FAILED
    if plan["uid"] is not None:
        _clear(plan["uid"])  # of what a guard that was killed left
        os.chown(plan["home"], plan["uid"], plan["uid"])
    own = os.getpid()
    server = os.fork()
    if server == 0:
        _become(plan, own)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)  # so that the server's end is the end of its pipes
    status = _wait(server)
    _end_all(plan["uid"])
    _remove(plan["home"], None)
    if plan["uid"] is not None:
        _clear(plan["uid"])
    return status


def _wait(server: int) -> int:
    """Wait for the server's end, or for word to end it; returns its status."""
    while signal.sigwait(_WATCHED) == signal.SIGCHLD:
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == server:
                return os.waitstatus_to_exitcode(status)
            if ended == 0:
                break
    return -signal.SIGTERM


def _end_all(uid: int | None) -> None:
    """Kill everything that descends from the server: children become ours as their parents go."""
    while True:
        if uid is not None:
            _kill_all_of(uid)
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _kill_all_of(uid: int) -> None:
    """Kill every process of that account, which is the server's alone, in one go: none can fork in between."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.kill(-1, signal.SIGKILL)
        except OSError:  # nobody is left
            os._exit(0)
        os._exit(0)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def _clear(uid: int) -> None:
    """Remove what belongs to that account, which nobody uses now, where everybody may write."""
    for folder in _SHARED:
        with contextlib.suppress(OSError):
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _clear_in(number, uid, _LEVELS)
            finally:
                os.close(number)
    _clear_ipc(uid)


def _clear_in(folder: int, uid: int, levels: int) -> None:
    """Likewise in an open folder and below. No symbolic link is followed, and none that comes in between."""
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            found = os.lstat(name, dir_fd=folder)
            if found.st_uid == uid:
                _remove(name, folder)
            elif stat.S_ISDIR(found.st_mode) and (levels > 1 or found.st_mode & stat.S_IWOTH):
                inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                try:
                    _clear_in(inside, uid, levels - 1)
                finally:
                    os.close(inside)


def _remove(name: str, folder: int | None) -> None:
    """Remove a file or a folder with all in it; what cannot be is nobody's but root's from then on."""
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
            os.unlink(name, dir_fd=folder)
            return
        with contextlib.suppress(RecursionError):
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
        number = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)  # still there, then
        try:
            os.fchown(number, os.getuid(), os.getgid())
            os.fchmod(number, 0o700)
        finally:
            os.close(number)


def _clear_ipc(uid: int) -> None:
    """Likewise what System V IPC keeps beyond the end of whoever made it."""
    libc = ctypes.CDLL(None, use_errno=True)
    calls: dict[str, Callable[[int], Any]] = {
        "shm": lambda number: libc.shmctl(number, _IPC_RMID, None),
        "sem": lambda number: libc.semctl(number, 0, _IPC_RMID, 0),
        "msg": lambda number: libc.msgctl(number, _IPC_RMID, None),
    }
    for kind, remove in calls.items():
        with contextlib.suppress(OSError), open(f"/proc/sysvipc/{kind}", encoding="ascii") as table:
            columns = table.readline().split()
            for line in table:
                row = dict(zip(columns, line.split(), strict=False))
                if str(uid) in (row.get("uid"), row.get("cuid")):
                    remove(int(row[f"{kind}id"]))


def _children() -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                if int(stat.read().rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
    return found


def _become(plan: dict[str, Any], guard: int) -> None:
    """Become the server, in the child; never returns."""
    try:
        os.setsid()
        os.umask(0o077)
        uid = plan["uid"]
        if uid is not None:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of account, which takes it back
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        if os.getppid() != guard:
            os._exit(_FAILED)
        for name, most in plan["limits"].items():
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (bound, bound))
        os.closerange(3, 1 << 20)
        os.chdir(plan["home"])
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.execve(plan["command"][0], plan["command"], plan["env"])  # noqa: S606 - a shell is what nobody wants here
    except OSError as error:
        os.write(2, f"{plan['command'][0]} could not be started: {error.strerror}\n".encode())
    finally:
        os._exit(_FAILED)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])) % 256)
