"""A mail server on loopback that takes letters, or does not (RFC 5321, as far as a client needs it)."""

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage


@dataclass
class Mail:
    """letters: what it took, in order. answer: to the end of a letter. port: where it listens."""

    port: int = 0
    answer: str = "250 taken"
    letters: list[EmailMessage] = field(default_factory=list)

    def texts(self) -> list[str]:
        """Return the letters' texts as people read them."""
        return [letter.get_content().replace("\r\n", "\n") for letter in self.letters]


@contextmanager
def taking_mail() -> Iterator[Mail]:
    """Listen until the block is left."""
    mail = Mail()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            for line in self.rfile:
                word = line[:4].upper()
                if word == b"DATA":
                    self.say("354 go on")
                    self.take()
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 mail.example" if word == b"EHLO" else "250 well")

        def take(self) -> None:
            lines = []
            for line in self.rfile:
                if line == b".\r\n":
                    break
                lines.append(line[1:] if line.startswith(b".") else line)
            if mail.answer.startswith("250"):
                parsed = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                assert isinstance(parsed, EmailMessage)
                mail.letters.append(parsed)
            self.say(mail.answer)

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    mail.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield mail
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
