"""The addresses that invitations lead to: the link itself, and the page it opens, whose address holds no token."""

from django.urls import path

from signin.invitations import views

urlpatterns = [
    path("", views.invitation, name="invitation"),
    path("<str:token>/", views.follow, name="invitation_link"),
]
