"""/admin: for platform staff to look at the queues, and for nothing else.

Whatever changes, changes through an action with its record in the journal, so nothing can be edited here, and what
libraries register of people, factors and providers is not shown. Staff come in by the sign-in page as everybody does,
with a second factor, and each request leaves a record in the platform's journal.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final, TypeVar, cast

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from tenants.actions import staff
from tenants.models import User

V = TypeVar("V", bound=Callable[..., Any])

#: The apps whose tables are shown.
SHOWN: Final = frozenset({"django_q"})


class LookOnly:
    """Mixed into what a library registers: it can be read by staff, and nothing can be done to it."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}


class StaffSite(admin.AdminSite):
    """The installation's own pages about itself."""

    site_header = site_title = "Countersign: queues"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take what `SHOWN` names, to look at; leave the rest out."""
        models: Iterable[type[Model]] = (
            model_or_iterable if isinstance(model_or_iterable, Iterable) else [model_or_iterable]
        )
        base = admin_class or admin.ModelAdmin
        for model in models:
            if model._meta.app_label in SHOWN:
                super().register(model, type(base.__name__, (LookOnly, base), {}), **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Say whether somebody of the staff asks who has a second factor."""
        user = request.user
        return super().has_permission(request) and isinstance(user, User) and user.has_second_factor()

    def admin_view(self, view: V, cacheable: bool = False) -> V:
        """Return the view for staff alone; one that cannot be recorded is not answered."""

        @wraps(view)
        def recorded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            user, match = request.user, request.resolver_match
            assert isinstance(user, User)  # noqa: S101 - what `has_permission` asks
            staff.looked_at_queues(
                user,
                route=match.view_name if match else "",
                method=request.method or "",
                path=request.get_full_path(),
            )
            return view(request, *args, **kwargs)

        return cast(V, super().admin_view(recorded, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send whoever is not signed in to the sign-in page, and staff without a second factor to where one is added.

        To others than staff these pages are closed.
        """
        wanted = request.GET.get("next") or reverse("admin:index")
        user = request.user
        if isinstance(user, User) and user.is_staff and not user.has_second_factor():
            return redirect_to_login(wanted, reverse("account_enrol"))
        if user.is_authenticated:
            raise PermissionDenied("These pages are for the installation's own staff.")
        return redirect_to_login(wanted)

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the account's own page, where changing the password ends other sessions and is recorded."""
        return redirect("account_change_password")
