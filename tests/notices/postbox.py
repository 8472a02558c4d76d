"""A mail server on loopback that speaks as much of SMTP (RFC 5321) as is needed to be handed a letter."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Postbox:
    """came: what it took, in order. refuses: what is answered in place of taking a letter, from the front.

    begun: set when a letter's text has arrived; holding: until it is set the answer to that is held back.
    """

    port: int = 0
    came: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refuses: list[str] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    holding: threading.Event | None = None

    def to(self, address: str) -> list[EmailMessage]:
        """Return the letters to one address."""
        return [letter for recipient, letter in self.came if recipient == address]


@contextmanager
def open_postbox(port: int = 0) -> Iterator[Postbox]:
    """Listen until the block is left."""
    box = Postbox()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 postbox")
            recipient = ""
            while line := self.rfile.readline():
                verb = line.decode().split(":")[0].strip().upper().split(" ")[0]
                if verb == "RCPT":
                    recipient = line.decode().split("<")[1].split(">")[0]
                    refused = box.refuses.pop(0) if box.refuses else None
                    self._say(refused or "250 yes")
                elif verb == "DATA":
                    self._take(recipient)
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 yes")

        def _take(self, recipient: str) -> None:
            self._say("354 go on")
            lines: list[bytes] = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            letter = message_from_bytes(b"".join(lines).replace(b"\r\n", b"\n"), policy=policy.default)
            assert isinstance(letter, EmailMessage)
            box.begun.set()
            if box.holding is not None:
                box.holding.wait(60)
                return
            box.came.append((recipient, letter))
            self._say("250 taken")

        def _say(self, words: str) -> None:
            self.wfile.write(words.encode() + b"\r\n")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", port), Session) as server:
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield box
        finally:
            if box.holding is not None:
                box.holding.set()
            server.shutdown()
            thread.join()
