"""What somebody new to the installation gives to have an account."""

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password

from tenants.models import User
from tenants.models.tenant import NAME_LENGTH


class NewAccount(forms.Form):
    """A name and a password; the address is the one invited."""

    name = forms.CharField(max_length=NAME_LENGTH)
    password = forms.CharField(strip=False, max_length=1000, widget=forms.PasswordInput)

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._email = email

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if not name.isprintable():
            raise forms.ValidationError("Give your name on one line.")
        return name

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        validate_password(password, User(email=self._email, name=self.data.get("name", "")))
        return password
