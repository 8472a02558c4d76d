"""Mutable: a person or a service that acts."""

from typing import Any, ClassVar, Final

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models

from db.models import new_id

#: What counts as a second factor; recovery codes only stand in for one.
SECOND_FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class UserManager(BaseUserManager["User"]):
    """Makes users; e-mail addresses are compared without regard to case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """One who acts, in any number of tenants by membership.

    email: lower-case; of a service, an address under `.service` that receives nothing.
    is_service: a machine's account: cannot sign in or decide. is_staff: platform staff, for the admin pages only.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    is_service = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email

    def has_second_factor(self) -> bool:
        """Say whether nobody signs in to the account with a password alone."""
        return bool(Authenticator.objects.filter(user_id=self.id, type__in=SECOND_FACTORS).exists())
