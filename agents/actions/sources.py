"""Define data sources, look them up."""

import re
from collections.abc import Mapping
from typing import Any

from access.acting import acting
from agents.actions.checking import refuse
from agents.core.document import source_problems
from agents.core.schema import Problem
from agents.errors import UnknownSource
from agents.models import DataSourceRow
from audit import journal
from tenants.principal import Principal

Json = Any
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


def put(name: str, spec: Mapping[str, Json], *, acting_as: Principal | str) -> DataSourceRow:
    """Define the data source `name`: `{engine, url}`. One that is so already is returned without a record.

    Raises `InvalidDocument`, and what `acting` raises for `tools:write`.
    """
    with acting(acting_as, "tools:write") as actor:
        found = source_problems(spec)
        if not NAME.fullmatch(name):
            words = "A data source's name is 1 to 63 letters, digits, _ and -, a letter first."
            found = [Problem("", words, "document"), *found]
        refuse(found, f"The data source {name} is not valid.")
        source, created = DataSourceRow.objects.select_for_update().get_or_create(
            name=name, defaults={"engine": spec["engine"], "url": spec["url"]}
        )
        if not created and (source.engine, source.url) == (spec["engine"], spec["url"]):
            return source
        source.engine, source.url = spec["engine"], spec["url"]
        source.save()
        journal.record(
            "source.added" if created else "source.changed",
            stream=source.id,
            actor=actor,
            facts={"engine": source.engine},
            payload={"name": name, "url": source.url},
        )
        return source


def by_name(name: str) -> DataSourceRow:
    """Return the data source of the tenant in scope; raises `UnknownSource`."""
    source = DataSourceRow.objects.filter(name=name).first()
    if source is None:
        raise UnknownSource(f"There is no data source {name!r}.")
    return source
