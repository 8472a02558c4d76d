"""Why nothing was exported."""

from typing import ClassVar

from db.errors import Refusal


class NothingSealed(Refusal):
    """Nothing of this journal has been sealed yet: try again in a few seconds."""

    code: ClassVar[str] = "nothing_sealed"
    status: ClassVar[int] = 404
    retryable: ClassVar[bool] = True


class FolderNotEmpty(Refusal):
    """The bundle needs a folder of its own: name one that does not exist or is empty."""

    code: ClassVar[str] = "folder_not_empty"
