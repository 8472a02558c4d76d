"""An MCP server over stdio that does what it is told, well or badly. The standard library alone: any Python runs it.

Run as `python hostile.py MODE [DEFINITIONS]`; DEFINITIONS is a file with the list of its tools as JSON, read each time.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import time
from typing import Any

ANY = {"type": "object"}
TOOLS = [
    {"name": name, "description": f"Does {name}.", "inputSchema": ANY}
    for name in (
        *("echo", "surroundings", "exit", "hang", "flood", "huge", "garbage", "fail", "picture", "numbers", "ask"),
        *("breed", "broken", "wide", "leave", "many"),
    )
]


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(words: str, **more: object) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


def surroundings() -> dict[str, Any]:
    limits = {name: resource.getrlimit(getattr(resource, name))[0] for name in dir(resource) if name[:7] == "RLIMIT_"}
    open_files = [int(name) for name in os.listdir("/proc/self/fd")]
    return {
        "environment": dict(os.environ),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "folder": os.getcwd(),
        "files": [number for number in open_files if os.path.exists(f"/proc/self/fd/{number}")],
        "limits": limits,
        "session": os.getsid(0) == os.getpid(),
        "pid": os.getpid(),
    }


def call(number: object, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name == "surroundings":
        return text("", structuredContent=surroundings())
    if name == "exit":
        sys.exit(3)
    if name == "hang":
        time.sleep(3600)
    if name == "flood":
        while True:
            say({"method": "notifications/message", "params": {"level": "info", "data": "x" * 1000}})
    if name == "huge":
        while True:
            sys.stdout.write("x" * 1_000_000)
    if name == "garbage":
        while True:
            sys.stdout.write("what is this?\n")
    if name == "fail":
        return text("there is no such order", isError=True)
    if name == "picture":
        return {"content": [{"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}]}
    if name == "numbers":
        return text('{"n": 1, "big": 12345678901234567890}')
    if name == "ask":
        say({"id": "mine", "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}})
        return text(json.dumps({"answer": json.loads(sys.stdin.readline())}))
    if name == "breed":
        child = subprocess.Popen(["sleep", "3600"], start_new_session=True, stdin=subprocess.DEVNULL)
        return text(json.dumps({"server": os.getpid(), "child": child.pid}))
    if name == "leave":
        left = [pathlib.Path(folder, arguments["name"]) for folder in arguments["folders"]]
        for each in left:
            each.mkdir(mode=0o777)
            (each / "note").write_text(arguments["note"])
            (each / "link").symlink_to(arguments["other"])
        return text(json.dumps({"uid": os.getuid(), "left": [str(each) for each in left]}))
    if name == "many":
        return text("", structuredContent=[[]] * 400_000)
    if name == "wide":
        return text("y" * 1_000_000)
    return text(json.dumps(arguments))


def main() -> None:
    mode = sys.argv[1] if len(sys.argv) > 1 else "plain"
    if mode == "dead":
        sys.exit("I would rather not")
    if mode == "silent":
        time.sleep(3600)
    if mode == "banner":
        print("Welcome!")
    for line in sys.stdin:
        asked = json.loads(line)
        number, method = asked.get("id"), asked.get("method")
        if number is None or method is None:
            continue
        if method == "initialize":
            shown = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
            say({"id": number, "result": {**shown, "serverInfo": {"name": "hostile", "version": "1"}}})
        elif method == "tools/list":
            tools = json.loads(pathlib.Path(sys.argv[2]).read_text()) if len(sys.argv) > 2 else TOOLS
            endless = {"nextCursor": "again"} if mode == "endless" else {}
            say({"id": number, "result": {"tools": tools, **endless}})
        elif method == "tools/call" and asked["params"]["name"] == "broken":
            say({"id": number, "result": {"content": "no list"}})
        elif method == "tools/call":
            params = asked["params"]
            say({"id": number, "result": call(number, params["name"], params.get("arguments") or {})})
        else:
            say({"id": number, "error": {"code": -32601, "message": "Method not found"}})


if __name__ == "__main__":
    main()
