"""The page of a link for feedback: for whoever has it, without an account, and without anything of the run on it."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from learning.actions import feedback as actions
from learning.errors import BadLink, GivenAlready
from quotas import rates
from quotas.addresses import client_address, network

SCORES = (("5", "Very good"), ("4", "Good"), ("3", "Fair"), ("2", "Poor"), ("1", "Wrong"))


class Comment(forms.CharField):
    """A text of several lines, each end of one counted as one character, as browsers count it for `maxlength`."""

    def to_python(self, value: Any) -> str:
        """Return the text."""
        return (super().to_python(value) or "").replace("\r\n", "\n")


class Form(forms.Form):
    """What is said."""

    score = forms.TypedChoiceField(
        choices=SCORES,
        coerce=int,
        error_messages={"required": "Choose one.", "invalid_choice": "Choose one."},
    )
    comment = Comment(max_length=actions.LONGEST, required=False, strip=True)


@require_http_methods(["GET", "POST"])
@never_cache
@csrf_protect
@sensitive_post_parameters("comment")
def feedback(request: HttpRequest, token: str) -> HttpResponse:
    """Ask, and on POST take down what is said, once. Raises `RateLimited` for an address that comes too often.

    A link that is forged, over or of a run that is gone is answered alike, with 404.
    """
    rates.count(request, ("feedback", network(client_address(request))))
    now = timezone.now()
    form = Form(request.POST if request.method == "POST" else None)
    try:
        if actions.is_given(token, now=now):
            return _thanks(request)
        if form.is_valid():
            said = {"score": form.cleaned_data["score"], "comment": form.cleaned_data["comment"] or None}
            actions.give_by_link(token, **said, now=now)
            return _thanks(request)
    except GivenAlready:
        return _thanks(request)
    except BadLink:
        return render(request, "console/feedback/over.html", status=404)
    context = {"form": form, "scores": SCORES, "longest": actions.LONGEST}
    return render(request, "console/feedback/ask.html", context, status=422 if form.is_bound else 200)


def _thanks(request: HttpRequest) -> HttpResponse:
    return render(request, "console/feedback/thanks.html")
