"""`python -m audit.verify BUNDLE [--key VKEY] [--checkpoint FILE]`: exit status 0 only if everything proves."""

import argparse
import gc
import sys
from pathlib import Path

from audit.log.note import COSIGNATURE, BadKey, VerifierKey
from audit.verify.bundle import read_keys, verify
from audit.verify.errors import Unproven
from audit.verify.files import files_of


def main(arguments: list[str] | None = None) -> int:
    """Verify, and say what was proven and what was not; returns the exit status (2: asked wrongly)."""
    parser = argparse.ArgumentParser(prog="audit.verify", description="Verifies an exported audit bundle, offline.")
    parser.add_argument("bundle", type=Path, help="the bundle's folder, or its ZIP archive")
    parser.add_argument("--key", help="a verifier key that you trust, or a file of them, one a line")
    parser.add_argument("--checkpoint", type=Path, help="an older checkpoint of the log, which you hold")
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        help="the verifier key of a witness that is to have cosigned the log, or a file of them; may be repeated",
    )
    options = parser.parse_args(arguments)
    try:
        keys = _keys(options.key) if options.key else None
        witnesses = _witnesses(options.witness)
        held = _note(options.checkpoint) if options.checkpoint else None
        files = files_of(options.bundle)
    except (BadKey, OSError, Unproven, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    gc.disable()  # there are no cycles, and half a million small objects a second to look for them in
    report = verify(files, keys=keys, held=held, witnesses=witnesses)
    for sentence in report.proven:
        print(sentence)
    if keys is None:
        print("The key is the bundle's own word: give the log's key with --key, from elsewhere than this bundle.")
    if held is None:
        print("No checkpoint was given: a log that was rewritten as a whole is told by --checkpoint alone.")
    if not witnesses:
        print("No witness was named: who else saw this log is told with --witness alone.")
    for problem in report.problems:
        for line in problem.split("\n"):
            print(f"NOT PROVEN: {line}")
    print("Everything proves." if not report.problems else "The bundle does not prove.")
    return 1 if report.problems else 0


def _keys(given: str) -> list[VerifierKey]:
    path = Path(given)
    return read_keys(path.read_text() if path.is_file() else given)


def _note(path: Path) -> bytes:
    """Return a checkpoint that somebody saved; a mail program may have given its lines other ends."""
    return path.read_bytes().replace(b"\r\n", b"\n")


def _witnesses(given: list[str]) -> list[VerifierKey]:
    found = [key for each in given for key in _keys(each)]
    for key in found:
        if key.algorithm != COSIGNATURE:
            raise BadKey(f"{key.name} is a log's key, not a witness's.")
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    sys.exit(main())
