"""The figures this project holds itself to, each beside what it must be and what it aims at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from throughput import COUNTERSIGN, DBOS, FLOOR, LANGGRAPH, LIMIT, WORKERS, Measured

Found = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Goal:
    """One row. least: whether more is better. unit: behind the numbers; digits: behind the point."""

    name: str
    value: float | None
    must: float
    aim: float | None
    least: bool = True
    unit: str = ""
    digits: int = 2

    def row(self) -> str:
        """As a line of the table."""
        sign = ">=" if self.least else "<="
        shown = "not measured" if self.value is None else self._number(self.value)
        aim = "" if self.aim is None else f"{sign} {self._number(self.aim)}"
        return f"| {self.name} | {shown} | {sign} {self._number(self.must)} | {aim} | {self._mark()} |"

    def _number(self, value: float) -> str:
        return f"{value:.{self.digits}f}{self.unit}"

    def _mark(self) -> str:
        if self.value is None:
            return "-"
        if not self._reaches(self.must):
            return "**FAIL**"
        return "pass" if self.aim is not None and not self._reaches(self.aim) else "pass, aim reached"

    def _reaches(self, bound: float) -> bool:
        assert self.value is not None
        return self.value >= bound if self.least else self.value <= bound


def goals(measured: Measured, found: Found) -> list[Goal]:
    """Every goal with what was measured."""
    rest, waiting, length = found.get("rest", {}), found.get("waiting", {}), found.get("length", {})
    wal, limit = measured.median(COUNTERSIGN, "pg_wal"), measured.ratio(WORKERS, LIMIT)
    share = None if limit is None else 100 * limit
    growth = length["cpu_ms_1001"] / length["cpu_ms_11"] if length else None
    in_flight, right = waiting.get("in_flight"), waiting.get("right")
    return [
        Goal("runs/s / floor", measured.ratio(COUNTERSIGN, FLOOR), 0.45, 0.60),
        Goal("runs/s / LangGraph", measured.ratio(COUNTERSIGN, LANGGRAPH), 1.8, 2.5),
        Goal("runs/s / DBOS", measured.ratio(COUNTERSIGN, DBOS), 2.5, 3.5),
        Goal("added CPU per step", measured.added_cpu_ms(COUNTERSIGN), 1.2, 0.9, False, " ms"),
        Goal("engine-only steps/s, 2 workers / pgbench, 8 clients", share, 15, 30, True, " %", 0),
        Goal("commits per 11-step run", measured.median(COUNTERSIGN, "pg_commits"), 15, 13, False, "", 1),
        Goal("WAL per run", None if wal is None else wal / 1000, 25, 18, False, " kB", 1),
        Goal("idle start p50 (POST to run.started)", rest.get("started_p50_ms"), 30, 10, False, " ms", 0),
        Goal("idle start p95", rest.get("started_p95_ms"), 50, 20, False, " ms", 0),
        Goal("500 waiting runs, 2 workers: memory of the tree", waiting.get("pss_mb"), 600, None, False, " MB", 0),
        Goal("500 waiting runs: in flight at once", in_flight, 500, None, True, "", 0),
        Goal("500 waiting runs: completed right", right, 500, None, True, "", 0),
        Goal("records sealed/s", found.get("sealing", {}).get("sealed_per_s"), 10_000, 40_000, True, "", 0),
        Goal("records exported/s", found.get("sealing", {}).get("exported_per_s"), 20_000, None, True, "", 0),
        Goal("records exported/s, slowest format", _slowest_export(found), 20_000, None, True, "", 0),
        Goal("checkpoint lag p99", found.get("sealing", {}).get("lag_p99_s"), 5, None, False, " s", 1),
        Goal("search p95, worst kind", found.get("search", {}).get("worst_p95_ms"), 300, None, False, " ms", 0),
        Goal("leaves verified/s", found.get("sealing", {}).get("verified_per_s"), 50_000, None, True, "", 0),
        Goal("CPU of a step, 1,001-step run / 11-step run", growth, 1.2, 1.0, False),
    ]


def _slowest_export(found: Found) -> float | None:
    """Records a second of the format that takes longest."""
    sealing = found.get("sealing", {})
    return min(
        (value for name, value in sealing.items() if name.startswith("exported_") and name.endswith("_per_s")),
        default=None,
    )


def _sealing(found: Found) -> str:
    sealing = found.get("sealing")
    if not sealing:
        return ""
    lines = ["| the log | a second | CPU s per 100,000 |", "|---|---|---|"]
    for name in sealing:
        if name.endswith("_cpu_s_100k"):
            what = name.removesuffix("_cpu_s_100k")
            lines.append(f"| {what.replace('_', ' ')} | {sealing[f'{what}_per_s']:,.0f} | {sealing[name]:.2f} |")
    return "\n".join(lines)


def _search(found: Found) -> str:
    search = found.get("search")
    if not search:
        return ""
    lines = [f"| search, 50 of {search['records']:,} records | p50 ms | p95 ms |", "|---|---|---|"]
    for name in search:
        if name.endswith("_p50_ms"):
            what = name.removesuffix("_p50_ms")
            lines.append(f"| {what.replace('_', ' ')} | {search[name]:.1f} | {search[f'{what}_p95_ms']:.1f} |")
    lines.append(f"| bytes a record: journal, pages | {search['journal_bytes']:.0f} | {search['page_bytes']:.0f} |")
    return "\n".join(lines)


def table(measured: Measured, found: Found) -> str:
    """The goals as a Markdown table."""
    head = "| measure | measured | must | aim | |\n|---|---|---|---|---|"
    return "\n".join([head, *(goal.row() for goal in goals(measured, found))])


def more_tables(found: Found) -> str:
    """What has no goal yet: where the time goes, REST, the run's length, many rows, many grants."""
    tables = (_where, _rest, _length, _workers, _watchers, _crowd, _rows, _grants, _sealing, _search)
    parts = [each(found) for each in tables]
    return "\n\n".join(part for part in parts if part)


def _where(found: Found) -> str:
    where = found.get("where")
    if not where:
        return ""
    cpu: dict[str, float] = where["cpu_ms_per_step"]
    whole = sum(cpu.values())
    lines = ["| where a step's CPU goes (our process, SDK over HTTP) | ms/step | share |", "|---|---|---|"]
    lines += [f"| {part} | {value:.3f} | {100 * value / whole:.0f} % |" for part, value in cpu.items()]
    lines += [
        "",
        "| where the server's time goes, per run | calls | ms | planning ms | WAL kB |",
        "|---|---|---|---|---|",
    ]
    for row in where["statements_per_run"]:
        figures = f"{row['exec_ms']:.2f} | {row['plan_ms']:.2f} | {row['wal_bytes'] / 1000:.1f}"
        lines.append(f"| {row['statement']} | {row['calls']:.1f} | {figures} |")
    return "\n".join(lines)


def _rest(found: Found) -> str:
    rest = found.get("rest")
    if not rest:
        return ""

    def times(name: str) -> str:
        return f"{rest[f'{name}_p50_ms']:.1f} / {rest[f'{name}_p95_ms']:.1f} ms"

    rows = (
        ("idle: GET /healthz answered (no database), p50 / p95", times("idle_health")),
        ("idle: POST answered, p50 / p95", times("post")),
        ("idle: run.started, p50 / p95", times("started")),
        ("idle: first call at the model, p50 / p95", times("first_call")),
        ("8 clients: GET /healthz a second; p50 / p95", f"{rest['health_per_s']:.0f}; {times('health')}"),
        ("8 clients, workers busy: POST a second; p50 / p95", f"{rest['submit_per_s']:.0f}; {times('submit')}"),
        ("runs/s from the first POST to the last end", f"{rest['rest_runs_per_s']:.1f}"),
    )
    lines = ["| over REST: web server, qcluster with 2 workers | |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows])


def _length(found: Found) -> str:
    length = found.get("length")
    if not length:
        return ""
    lines = ["| engine only, one run at a time: steps in the run | CPU ms/step | wall ms/step |", "|---|---|---|"]
    for steps in sorted(int(key.rpartition("_")[2]) for key in length if key.startswith("cpu_ms_")):
        lines.append(f"| {steps} | {length[f'cpu_ms_{steps}']:.2f} | {length[f'wall_ms_{steps}']:.2f} |")
    return "\n".join(lines)


def _workers(found: Found) -> str:
    workers = found.get("workers")
    if not workers:
        return ""
    counts = sorted(int(key.rpartition("_")[2]) for key in workers if key.startswith("runs"))
    lines = [
        "| `qcluster`, the model over HTTP: worker processes | runs/s | x one | the machine's cores busy |",
        "|---|---|---|---|",
    ]
    one = workers[f"runs_per_s_{counts[0]}"]
    for count in counts:
        rate = workers[f"runs_per_s_{count}"]
        busy = f"{workers[f'busy_{count}']:.2f} of {workers['cores']}"
        lines.append(f"| {count} | {rate:.1f} | {rate / one:.2f} | {busy} |")
    return "\n".join(lines)


def _watchers(found: Found) -> str:
    watchers = found.get("watchers")
    if not watchers:
        return ""
    few, many = sorted(int(key.rpartition("_")[2]) for key in watchers if key.startswith("events_"))
    lines = [f"| {watchers['runs']} runs followed by SSE | {few} watchers | {many} watchers |", "|---|---|---|"]
    names = {
        "events": ("events since they joined, each once and in order", "{:,.0f}"),
        "late_p50_ms": ("from the journal's time to the client, p50", "{:.0f} ms"),
        "late_p95_ms": ("from the journal's time to the client, p95", "{:.0f} ms"),
        "event_cpu_us": ("CPU of the web process, each event to each client", "{:.0f} µs"),
        "quiet_cpu_share": ("its CPU while nothing happens", "{:.3f} cores"),
        "web_pss_mb": ("its memory", "{:.0f} MB"),
    }
    return "\n".join([*lines, *_columns(watchers, names, (str(few), str(many))), "", *_joins(watchers, many)])


def _joins(watchers: Mapping[str, Any], many: int) -> list[str]:
    named = {
        "all": "join a stream, all at once",
        "few": "join a stream, 8 at a time",
        "run": "read the run, all at once",
        "health": "/healthz, all at once",
    }
    lines = [f"| {many} clients, a connection each | p50 | the last | each second | CPU of the web process |"]
    lines.append("|---|---|---|---|---|")
    for name, words in named.items():
        p50, last, rate, cpu = (watchers[f"{name}_{key}_{many}"] for key in ("p50_ms", "max_ms", "per_s", "cpu_ms"))
        lines.append(f"| {words} | {p50:,.0f} ms | {last:,.0f} ms | {rate:.0f} | {cpu:.1f} ms |")
    return lines


def _crowd(found: Found) -> str:
    crowd = found.get("crowd")
    if not crowd:
        return ""
    lines = [f"| 2 workers, beside runs that wait for a person | none | {crowd['runs']:,} |", "|---|---|---|"]
    names = {
        "pss_mb": ("memory of the workers' processes", "{:.0f} MB"),
        "idle_cpu_share": ("their CPU while nothing happens", "{:.3f} cores"),
        "started_p50_ms": ("a new run's start (POST to run.started), p50", "{:.0f} ms"),
        "started_p95_ms": ("a new run's start, p95", "{:.0f} ms"),
    }
    return "\n".join(lines + _columns(crowd, names, ("none", "crowd")))


def _columns(found: Mapping[str, Any], names: Mapping[str, tuple[str, str]], labels: tuple[str, ...]) -> list[str]:
    """A row for each name (words, format), a column for each label behind it."""
    return [
        f"| {words} | " + " | ".join(form.format(found[f"{name}_{label}"]) for label in labels) + " |"
        for name, (words, form) in names.items()
    ]


def _rows(found: Found) -> str:
    rows = found.get("rows")
    if not rows:
        return ""
    lines = [
        f"| engine only, one run at a time | empty table | {rows['rows']:,} ended runs, as many questions |",
        "|---|---|---|",
    ]
    names = {
        "cpu_ms": "CPU of a step",
        "wall_ms": "time of a step",
        "nothing_ms": "an empty query in the tenant's scope",
        "list_all_ms": "newest 50 runs",
        "list_completed_ms": "newest 50 completed runs",
        "inbox_all_ms": "newest 50 questions to people",
        "inbox_open_ms": "newest 50 open questions",
    }
    lines += [
        f"| {name} | {rows[f'{key}_empty']:.2f} ms | {rows[f'{key}_loaded']:.2f} ms |" for key, name in names.items()
    ]
    return "\n".join(lines)


def _grants(found: Found) -> str:
    grants = found.get("grants")
    if not grants:
        return ""
    sizes = f"{grants['few']:,} grants | {grants['many']:,} grants"
    lines = [f"| on {grants['tools']:,} tools, one call at a time | {sizes} | ratio |", "|---|---|---|---|"]
    names = {
        "granted_pages": "check, whatever the arguments: pages visited",
        "granted_p50_ms": "check, whatever the arguments: p50, ms",
        "granted_p95_ms": "check, whatever the arguments: p95, ms",
        "holdings_pages": "check with conditions: pages visited",
        "holdings_p50_ms": "check with conditions: p50, ms",
        "holdings_p95_ms": "check with conditions: p95, ms",
        "step_cpu_ms": "CPU of a step, ms",
        "step_wall_ms": "time of a step, ms",
    }
    for key, name in names.items():
        few, many = grants[f"{key}_few"], grants[f"{key}_many"]
        lines.append(f"| {name} | {few:.2f} | {many:.2f} | {many / few:.2f} |")
    return "\n".join(lines)
