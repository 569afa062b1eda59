"""The errors that cmp-core raises on purpose, and the exit code of each.

A class says what happens next; the message is one finished sentence that says what,
where and what to do. The exit codes are those of ``sysexits.h``::

    CmpError                          70  a defect in cmp-core or in a backend
    ├── UsageError                    64  the command line is wrong
    ├── ConfigError                   78  what somebody wrote must change
    │   ├── SettingsError                 … the operator's settings
    │   ├── TriggerFileError              … the trigger file
    │   └── SourceValidationError         … a value of the source, wherever it came from
    ├── PolicyError                   77  the operator does not allow it
    ├── BackendError                  69  the sidecar's image must change
    │   ├── BackendNotFoundError
    │   ├── BackendConflictError
    │   └── BackendLoadError
    ├── FetchError                    69  the source could not be fetched
    │   ├── SourceNotFoundError       66
    │   ├── SourceAccessError         77
    │   ├── IntegrityError            65
    │   ├── LimitExceededError        65
    │   ├── TransientFetchError       75  worth another try
    │   └── DeadlineExceededError     75
    ├── RenderError                   65  what was fetched cannot be applied
    │   └── EmptyRenderError
    ├── OutputError                   74  stdout or the disk did not take it
    └── ResourceError                 71  the machine ran out of memory, files or threads
"""

from typing import ClassVar


class CmpError(Exception):
    """The base of every error that cmp-core explains to its user.

    Raised as it is only for defects: code that did what it must not.
    """

    exit_code: ClassVar[int] = 70
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, remedy: str = "") -> None:
        """Take the finished sentence.

        Args:
            message: What, where and, after its last colon, what to do.
            remedy: The part of it that says what to do, where the raiser knows it better than the last colon.
        """
        super().__init__(message)
        self.remedy = remedy

    @property
    def message(self) -> str:
        """The sentence the error was raised with."""
        return str(self)


class UsageError(CmpError):
    """The command line is wrong."""

    exit_code = 64


class ConfigError(CmpError):
    """Something that a person wrote must change."""

    exit_code = 78


class SettingsError(ConfigError):
    """The operator's settings file or a `CMP_*` variable is wrong."""


class TriggerFileError(ConfigError):
    """The trigger file is missing, ambiguous or malformed."""


class SourceValidationError(ConfigError):
    """A value of the source is wrong, wherever it came from."""


class PolicyError(CmpError):
    """The operator does not allow this application to do this."""

    exit_code = 77


class BackendError(CmpError):
    """The installed backends do not serve; the sidecar's image must change."""

    exit_code = 69


class BackendNotFoundError(BackendError):
    """No installed distribution provides the backend."""


class BackendConflictError(BackendError):
    """Two installed distributions provide a backend of one name."""


class BackendLoadError(BackendError):
    """The backend is installed but cannot be loaded, or its hooks are malformed."""


class FetchError(CmpError):
    """The source could not be fetched."""

    exit_code = 69


class SourceNotFoundError(FetchError):
    """What the source names does not exist."""

    exit_code = 66


class SourceAccessError(FetchError):
    """The identity is unknown, expired or not allowed to read the source."""

    exit_code = 77


class IntegrityError(FetchError):
    """What was read is not what the source announced, or cannot be stored safely."""

    exit_code = 65


class LimitExceededError(FetchError):
    """The source is larger than the limits allow."""

    exit_code = 65


class TransientFetchError(FetchError):
    """The source could not be reached, was throttled, or failed on its side."""

    exit_code = 75
    retryable = True


class DeadlineExceededError(FetchError):
    """The total time ran out."""

    exit_code = 75


class RenderError(CmpError):
    """What was fetched cannot be turned into manifests."""

    exit_code = 65


class EmptyRenderError(RenderError):
    """The source holds no manifest; an empty result is never a success."""


class OutputError(CmpError):
    """Standard output or the scratch folder did not take what was written."""

    exit_code = 74


class ResourceError(CmpError):
    """The machine gave the process no more memory, open files or threads."""

    exit_code = 71
