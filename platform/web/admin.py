"""/admin: for platform staff to look at the queues, and for nothing else.

Whatever changes, changes through an action with its record in the journal, so nothing can be edited here, and what
libraries register of people, factors and providers is not shown. Staff come in by the sign-in page as everybody does.
"""

from collections.abc import Iterable
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

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

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send whoever is not signed in to the sign-in page; to others than staff these pages are closed."""
        if request.user.is_authenticated:
            raise PermissionDenied("These pages are for the installation's own staff.")
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Refuse: one's password is changed on the account's own page, which ends other sessions and is recorded."""
        raise Http404
