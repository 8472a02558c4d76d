"""Passwords in tests: Argon2 as the product has it, at the least cost it takes."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2PasswordHasher(Argon2PasswordHasher):
    """Costs 1 ms where the product's takes a quarter of a second; servers that tests start hash at full strength."""

    time_cost = 1
    memory_cost = 64
    parallelism = 1
