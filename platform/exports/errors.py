"""Errors of exports."""

from db.errors import Refusal


class ExportError(Refusal):
    """The export is not as asked for."""

    code = "export"


class BadPeriod(ExportError):
    """The period ends before it begins: let `from` come before `to`."""

    code = "bad_period"


class BundleIsWhole(ExportError):
    """A bundle proves that nothing of its period is missing: leave `filter` out, or take another format."""

    code = "bundle_is_whole"


class TooManyExports(ExportError):
    """Ten exports of the tenant are being made already: wait until one is ready."""

    code = "too_many_exports"
    status = 409
    retryable = True


class TooManyKept(ExportError):
    """Fifty exports of the tenant are kept already: delete some, or wait until they expire."""

    code = "too_many_kept_exports"
    status = 409


class TooMuchKept(ExportError):
    """The tenant's exports would take more bytes than the installation keeps: delete some, or ask for a shorter period.

    `EXPORTS_BYTES` says how many it keeps.
    """

    code = "exports_too_large"
    status = 409


class WritersLinger(ExportError):
    """A transaction that writes records has lasted for ten minutes: ask who runs the installation to look, then again.

    `pg_stat_activity` shows it. What it wrote before the export's moment would be missing.
    """

    code = "writers_linger"
    status = 503
    retryable = True


class UnknownExport(ExportError):
    """There is no such export."""

    code = "unknown_export"
    status = 404


class NotReady(ExportError):
    """The export is not ready: ask for its status, and download it when that is `ready`."""

    code = "export_not_ready"
    status = 409
    retryable = True


class Gone(ExportError):
    """The export failed, or is no longer kept: ask for another one."""

    code = "export_gone"
    status = 410


class RangeNotThere(ExportError):
    """The export has fewer bytes than where the range begins."""

    code = "range_not_satisfiable"
    status = 416
