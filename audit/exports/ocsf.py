"""A record as an event of the Open Cybersecurity Schema Framework: API Activity, class 6003, version 1.5.0. Pure.

https://schema.ocsf.io/1.5.0/classes/api_activity, with the profile `trace` where a record has a trace id. Facts,
payload and commitment are `unmapped`.
No addresses of people are in a record, so the source endpoint is the part of the platform that acted.
"""

import json
from datetime import datetime
from typing import Any, Final

Json = Any

VERSION: Final = "1.5.0"
CLASS: Final = 6003

#: activity_id by the word an event type ends with; anything else is Other (99).
_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_ACTIVITIES: Final = {
    _CREATE: ("created", "added", "submitted", "requested", "made", "issued", "invited", "opened", "reserved", "put"),
    _READ: ("read", "exported", "downloaded", "listed", "looked"),
    _UPDATE: ("changed", "published", "rotated", "assigned", "claimed", "released", "renamed", "settled", "accepted"),
    _DELETE: ("removed", "deleted", "erased", "revoked", "withdrawn", "discarded", "cancelled"),
}
_ACTIVITY: Final = {word: activity for activity, words in _ACTIVITIES.items() for word in words}

#: status_id: Success, Failure. severity_id: Informational, Low.
_STATUS: Final = {"ok": 1, "denied": 2, "failed": 2}
_SEVERITY: Final = {"ok": 1, "denied": 2, "failed": 2}

#: user.type_id: User, System, Other.
_USER, _SYSTEM, _SERVICE = 1, 3, 99


def line(row: dict[str, Json], log: str) -> str:
    """Return the event as a line of JSON.

    row: a record by the names of `audit.exports.rows.COLUMNS` and `v`; facts and payload are JSON texts. log: the log's
    origin.
    """
    whole = json.dumps(event(row, log), ensure_ascii=False, separators=(",", ":"))
    rest = (
        f'"facts":{row["facts"]},"payload":{row["payload"] or "null"},"erased":{"true" if row["erased"] else "false"}'
    )
    commitment = "null" if row["commitment"] is None else f'"{row["commitment"]}"'
    return f'{whole[:-1]},"unmapped":{{{rest},"commitment":{commitment}}}}}\n'


def event(row: dict[str, Json], log: str) -> dict[str, Json]:
    """Return the event but for what is `unmapped`."""
    noun, _, verb = row["action"].partition(".")
    activity = _ACTIVITY.get(verb, _OTHER)
    at = int(datetime.fromisoformat(row["at"]).timestamp() * 1000)
    resources = [{"uid": row["stream"], "type": noun}]
    if row["subject"] is not None:
        resources.append({"uid": row["subject"], "type": row["subject"].partition(":")[0]})
    return {
        "activity_id": activity,
        **({"activity_name": verb} if activity == _OTHER else {}),
        "category_uid": 6,
        "class_uid": CLASS,
        "type_uid": CLASS * 100 + activity,
        "time": at,
        "severity_id": _SEVERITY[row["outcome"]],
        "status_id": _STATUS[row["outcome"]],
        "status_code": row["outcome"],
        "actor": {"user": _user(row["actor"]) | _credential(row["facts"])},
        "api": {"operation": row["action"], "version": str(row["v"]), "service": {"name": "countersign"}},
        "src_endpoint": {"svc_name": _service(row["actor"])},
        "resources": resources,
        **({"trace": {"uid": row["trace"]}} if row["trace"] is not None else {}),
        "metadata": {
            "version": VERSION,
            "product": {"name": "Countersign", "vendor_name": "Countersign"},
            "uid": row["id"],
            "event_code": row["action"],
            "correlation_uid": row["stream"],
            **({"sequence": row["seq"]} if row["seq"] is not None else {}),
            **({"log_name": log} if log else {}),
            **({"profiles": ["trace"]} if row["trace"] is not None else {}),
        },
    }


def _user(actor: str) -> dict[str, Json]:
    """Return who acted: a member, a service account's key, or a part of the platform."""
    kind, separator, name = actor.partition(":")
    if kind == "user":
        return {"uid": name, "type_id": _USER}
    if kind == "key":
        return {"uid": name, "type_id": _SERVICE, "type": "Service account"}
    return {"uid": actor, "name": name if separator else kind, "type_id": _SYSTEM}


def _credential(facts: str) -> dict[str, Json]:
    """Return by which API key the request came that the record was written in."""
    key = json.loads(facts).get("via") if '"via"' in facts else None
    return {} if key is None else {"credential_uid": key}


def _service(actor: str) -> str:
    return "countersign-worker" if actor == "engine" or actor.startswith("system:") else "countersign-web"
