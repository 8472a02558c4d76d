"""Django's admin with this installation's site."""

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    default_site = "web.admin.StaffSite"
