"""The addresses of single sign-on. A provider is registered with the last one as its redirect URI."""

from django.urls import path

from signin.oidc import views

urlpatterns = [
    path("", views.start, name="sso"),
    path("<slug:tenant>/", views.tenant, name="sso_tenant"),
    path("<slug:tenant>/<slug:provider>/", views.leave, name="sso_leave"),
    path("<slug:tenant>/<slug:provider>/callback/", views.callback, name="sso_callback"),
]
