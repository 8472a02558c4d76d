"""The pages about signing in and one's own account, under the names allauth knows them by. There is no sign-up."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.webauthn import views as webauthn
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from signin import views

_password = [
    path("change/", views.password_change, name="account_change_password"),
    path("reset/", views.password_reset, name="account_reset_password"),
    path("reset/done/", account.password_reset_done, name="account_reset_password_done"),
    path("reset/key/done/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    re_path(
        r"^reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
]

_second_factor = [
    path("", RedirectView.as_view(pattern_name="account_home"), name="mfa_index"),
    path("authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("reauthenticate/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("totp/activate/", views.activate_totp, name="mfa_activate_totp"),
    path("totp/deactivate/", views.deactivate_totp, name="mfa_deactivate_totp"),
    path("recovery-codes/", views.recovery_codes_shown, name="mfa_view_recovery_codes"),
    path("recovery-codes/generate/", views.recovery_codes_made, name="mfa_generate_recovery_codes"),
    path("webauthn/login/", webauthn.login_webauthn, name="mfa_login_webauthn"),
    path("webauthn/reauthenticate/", webauthn.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("webauthn/add/", views.add_passkey, name="mfa_add_webauthn"),
    path("webauthn/keys/<int:pk>/remove/", views.remove_passkey, name="mfa_remove_webauthn"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="account_home"),
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/", include(_password)),
    path("2fa/", include(_second_factor)),
    path("enrol/", views.enrol, name="account_enrol"),
    path("sessions/<int:session>/end/", views.end_session, name="account_end_session"),
    path("sessions/end-others/", views.end_other_sessions, name="account_end_other_sessions"),
]
