"""Each action leaves a record for each change, and none of the change when the record cannot be written.

The actions are found by importing the modules they live in; one that the table does not know fails the test.
"""

import inspect
import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError

from db.models import new_id
from db.scope import PLATFORM
from db.tables import listed
from tests.journal.conftest import Failing
from tests.journal.exempt import ELSEWHERE, PARTS, READS
from tests.journal.scene import Scene
from tests.journal.table import CASES

pytestmark = pytest.mark.usefixtures("database")

#: Where verbs live beside the packages called `actions`.
MORE = ("access.grants", "access.refusals", "agents.config.applying", "audit.search", "signin.records")
APPS = (
    *("access", "agents", "audit", "escalations", "exports", "learning", "notices", "quotas", "retention", "signin"),
    *("tenants", "vault", "webhooks"),
)

Superuser = psycopg.Connection[tuple[Any, ...]]
ALL = [(name, case) for name, cases in CASES.items() for case in cases]


def modules() -> list[ModuleType]:
    """Return every module that holds verbs."""
    found = [import_module(name) for name in MORE]
    for app in APPS:
        package = import_module(app)
        if any(each.name == "actions" for each in pkgutil.iter_modules(package.__path__)):
            actions = import_module(f"{app}.actions")
            found += [import_module(f"{app}.actions.{each.name}") for each in pkgutil.iter_modules(actions.__path__)]
    return found


def verbs() -> dict[str, Any]:
    """Return every public function of these modules by its full name."""
    return {
        f"{module.__name__}.{name}": function
        for module in modules()
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__
    }


def test_every_verb_is_known_once() -> None:
    known = [*CASES, *READS, *PARTS, *ELSEWHERE]

    assert sorted(known) == sorted(verbs())


def test_who_acts_is_named_to_every_action() -> None:
    """An action without `acting_as` says otherwise who it was, or is a part of one that does."""
    acting = {name for name, verb in verbs().items() if "acting_as" in inspect.signature(verb).parameters}

    assert acting - READS - {"tenants.actions.owners.changing_people"} <= CASES.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize(("name", "where"), ELSEWHERE.items())
def test_what_is_tried_elsewhere_is_tried_there(name: str, where: str) -> None:
    path, _, test = where.partition("::")

    assert f"def {test}(" in (settings.BASE_DIR / "tests" / path).read_text()


def contents(of: Scene, superuser: Superuser) -> dict[str, list[str]]:
    """Return every row that an action in the tenant might touch, as text, by table; the platform's tables whole."""
    superuser.execute("SELECT set_config('app.tenant', %s, false)", [str(of.world.tenant_id)])
    found = {}
    for table in listed().values():
        mine = f"WHERE {table.tenant} IN ('{of.world.tenant_id}', '{PLATFORM}')" if table.tenant else ""
        rows = superuser.execute(f"SELECT t::text FROM {table.name} t {mine} ORDER BY 1".encode())  # noqa: S608
        found[table.name] = [text for (text,) in rows]
    return found


def records_since(superuser: Superuser, since: UUID) -> list[str]:
    """Return the types of all records, of whatever tenant, that are younger than an id."""
    found = superuser.execute("SELECT action FROM audit_record WHERE id > %s ORDER BY id", [since])
    return [action for (action,) in found]


@pytest.mark.parametrize(("name", "case"), ALL)
def test_a_change_and_its_record_stand_or_fall_together(
    superuser: Superuser, failing: Failing, name: str, case: str
) -> None:
    scene = Scene()
    call = CASES[name][case].prepare(scene)
    before, since = contents(scene, superuser), new_id()

    with failing(), pytest.raises(OperationalError, match="no space left for the record"):
        call()
    assert contents(scene, superuser) == before
    assert records_since(superuser, since) == []

    call()
    after = contents(scene, superuser)
    written = records_since(superuser, since)
    assert len(written) == CASES[name][case].records, written
    if name not in ONLY_RECORDS:
        assert {table for table in before if before[table] != after[table]} - JOURNAL


JOURNAL = {"audit_record", "audit_payload", "audit_outbox"}

#: What changes nothing but tells what happened.
ONLY_RECORDS = {
    "access.refusals.record",
    "access.refusals.throttled",
    "agents.actions.tries.make",
    "agents.actions.trying_policies.trial",
    "agents.actions.trying_rules.trial",
    "agents.config.applying.export",
    "audit.search.leave_export_record",
    "audit.search.leave_record",
    "exports.actions.exports.download",
    "signin.records.write",
    "tenants.actions.refused_keys.record",
    "tenants.actions.staff.looked",
    "tenants.actions.staff.looked_at_queues",
}
