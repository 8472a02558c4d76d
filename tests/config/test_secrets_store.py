"""Secrets that a development installation makes itself."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from config.env import decode_keys
from config.secrets_store import generated_secret


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    first = generated_secret(folder, "field_keys")

    assert generated_secret(folder, "field_keys") == first
    assert generated_secret(folder, "secret_key") != first
    assert len(decode_keys("FIELD_KEYS", (first,))[0]) == 32


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    generated_secret(tmp_path / "secrets", "secret_key")

    assert stat.S_IMODE((tmp_path / "secrets" / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        made = set(threads.map(lambda _: generated_secret(tmp_path / "secrets", "secret_key"), range(64)))

    assert len(made) == 1
