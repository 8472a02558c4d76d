"""What was typed into a form."""

from django.http import QueryDict


def typed(given: QueryDict, name: str) -> str:
    """Return a field's text without blanks around it; nothing where it is missing.

    Browsers send every end of a line as CR LF (WHATWG HTML, "constructing the entry list") though they count one
    character of it for `maxlength`: here it is one, too, before its length is measured and anything is kept.
    """
    return given.get(name, "").replace("\r\n", "\n").strip()
