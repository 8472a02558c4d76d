"""An MCP server as a child process: started by `guard`, heard over its pipes within bounds, ended without a trace.

The SDK's own transport for stdio hands the environment on, keeps lines of any length and starts what it is told; this
one speaks the same protocol (a JSON-RPC message a line) to the SDK's session.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from agents.tools.mcp.accounts import account
from agents.tools.mcp.answers import many
from agents.tools.mcp.definitions import clean
from agents.tools.mcp.faults import McpError
from agents.tools.mcp.sending import CALL, SENDING, Sending
from agents.tools.results import MAX_VALUES

logger = logging.getLogger(__name__)

MAX_LINE_BYTES: Final = 2 * 1024 * 1024
MAX_BYTES: Final = 16 * 1024 * 1024
"""What a server may write between two requests."""
MAX_MESSAGES: Final = 1000
"""Likewise, in messages."""
MAX_GARBAGE: Final = 20
"""Lines that are no messages: some programs greet whoever starts them."""
MAX_LOGGED_CHARS: Final = 4000
_LIMITS: Final = {
    "RLIMIT_AS": 4 * 1024**3,
    "RLIMIT_CPU": 600,
    "RLIMIT_CORE": 0,
    "RLIMIT_FSIZE": 64 * 1024**2,
    "RLIMIT_NOFILE": 256,
}
#: Counted by account, so it bounds a server alone only where that has one to itself.
_LIMITS_OF_ACCOUNT: Final = {"RLIMIT_NPROC": 64}
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_GUARD: Final = Path(__file__).with_name("guard.py")
_END_S: Final = 5.0

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], "_Writing"]
_Read = MemoryObjectSendStream[SessionMessage | Exception]


_Said = tuple[SessionMessage, Sending | None]
#: Of the error by which a call that was not begun is answered here.
_NOT_BEGUN: Final = -32000


class Meter:
    """How much a server may say until the next request, and why it is no longer listened to."""

    def __init__(self) -> None:
        self.fault = ""
        self._garbage = 0
        self.begin()

    def begin(self) -> None:
        """Count from here: a request goes out."""
        self._bytes = self._messages = 0

    def take(self, size: int) -> bool:
        """Count a message; says whether it is one too many."""
        self._bytes += size
        self._messages += 1
        if self._bytes > MAX_BYTES or self._messages > MAX_MESSAGES:
            self.fault = "It wrote without end."
        return bool(self.fault)

    def garbage(self) -> bool:
        """Count a line that is no message; says whether it is one too many."""
        self._garbage += 1
        if self._garbage > MAX_GARBAGE:
            self.fault = "It wrote what is no message of the protocol."
        return bool(self.fault)


class _Writing:
    """What the SDK's session writes to: each message goes on with what its request brings along."""

    def __init__(self, stream: MemoryObjectSendStream[_Said]) -> None:
        self._stream = stream

    async def send(self, item: SessionMessage, /) -> None:
        """Pass a message on."""
        await self._stream.send((item, SENDING.get()))

    async def aclose(self) -> None:
        """Have no more said."""
        await self._stream.aclose()

    async def __aenter__(self) -> "_Writing":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@asynccontextmanager
async def stdio(name: str, path: str, arguments: Sequence[str], meter: Meter) -> AsyncGenerator[Streams, None]:
    """Run the server and yield what the SDK's session reads and writes. name: for the log.

    Raises `McpError` when there is no account for it or no process.
    """
    process = await _started(path, arguments)
    read_writer, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, write_reader = anyio.create_memory_object_stream[_Said](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_hear, process, read_writer, meter)
        tasks.start_soon(_say, process, write_reader, read_writer)
        tasks.start_soon(_log, process, name)
        try:
            yield read, _Writing(write)
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
            tasks.cancel_scope.cancel()
            for stream in (read, write, read_writer, write_reader):
                stream.close()


async def _started(path: str, arguments: Sequence[str]) -> asyncio.subprocess.Process:
    uid, held = account()
    try:
        home = tempfile.mkdtemp(prefix="countersign-mcp-")
        plan: dict[str, Any] = {
            "command": [path, *arguments],
            "env": {"PATH": _PATH, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"},
            "home": home,
            "uid": uid,
            "parent": os.getpid(),
            "limits": _LIMITS | (_LIMITS_OF_ACCOUNT if uid is not None else {}),
        }
        # Started by the thread of the loop, which lives as long as this process: the kernel ends the guard with it.
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_GUARD), json.dumps(plan)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            cwd="/",
            limit=MAX_LINE_BYTES,
            start_new_session=True,
            pass_fds=() if held is None else (held,),
        )
    except OSError as error:
        raise McpError("unreachable", f"The server could not be started ({error.strerror}).", retryable=True) from error
    finally:
        if held is not None:
            os.close(held)  # the guard's copy keeps the account


async def _hear(process: asyncio.subprocess.Process, heard: _Read, meter: Meter) -> None:
    """Pass on what the server writes, until it says too much, nothing that makes sense, or no more."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        async with heard:
            while not meter.fault:
                try:
                    line = await process.stdout.readuntil(b"\n")
                except asyncio.LimitOverrunError:
                    meter.fault = f"It wrote a message of more than {MAX_LINE_BYTES} bytes."
                    return
                except (asyncio.IncompleteReadError, OSError):
                    meter.fault = "It ended."
                    return
                if meter.take(len(line)):
                    return
                if many(line) > MAX_VALUES:
                    meter.fault = f"It wrote a message of more than {MAX_VALUES} values."
                    return
                try:
                    message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                except (ValueError, RecursionError):
                    if line.strip() and meter.garbage():
                        return
                    continue
                await heard.send(SessionMessage(message))


async def _say(process: asyncio.subprocess.Process, said: MemoryObjectReceiveStream[_Said], heard: _Read) -> None:
    """Pass on what is said to the server; a call only if it may be begun now."""
    assert process.stdin is not None  # noqa: S101 - it was asked for
    try:
        async with said:
            async for message, sending in said:
                request = message.message
                text = request.model_dump_json(by_alias=True, exclude_unset=True)
                if isinstance(request, mcp_types.JSONRPCRequest) and request.method == CALL and sending is not None:
                    try:
                        sending.begins()
                    except Exception:  # kept by it, for the one who asked
                        error = mcp_types.ErrorData(code=_NOT_BEGUN, message="The call was not begun.")
                        answer = mcp_types.JSONRPCError(jsonrpc="2.0", id=request.id, error=error)
                        await heard.send(SessionMessage(answer))
                        continue
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()
    except (OSError, anyio.ClosedResourceError, anyio.BrokenResourceError):
        heard.close()  # so that nobody waits for an answer


async def _log(process: asyncio.subprocess.Process, name: str) -> None:
    """Log the beginning of what the server writes to stderr for whoever looks for faults, and swallow the rest."""
    assert process.stderr is not None  # noqa: S101 - it was asked for
    left = MAX_LOGGED_CHARS
    with contextlib.suppress(OSError):
        while data := await process.stderr.read(8192):
            for line in data[:left].decode("utf-8", "replace").splitlines():
                if line.strip():
                    logger.debug("The MCP server %s says: %s", name, clean(line, 500))
            left = max(0, left - len(data))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the server: by the end of its input, else by the guard's hand, else by the kernel's."""
    assert process.stdin is not None  # noqa: S101 - it was asked for
    process.stdin.close()
    for wait_s, number in ((0.2, signal.SIGTERM), (_END_S, signal.SIGKILL), (_END_S, None)):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_gone(process), wait_s)
            break
        if number is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
    transport: Any = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()  # whatever still holds an end of the pipes


async def _gone(process: asyncio.subprocess.Process) -> None:
    # `wait` would also wait for the pipes to be read to their end, which nobody does any more.
    while process.returncode is None:
        await asyncio.sleep(0.01)
