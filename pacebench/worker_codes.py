"""Exit codes of a rank, which its supervisor reads (names and numbers of sysexits.h)."""

from __future__ import annotations

EXIT_ENDED = 0
EXIT_ERROR = 70
"""EX_SOFTWARE: an exception; rank 0 has written the reason."""
EXIT_NOT_A_RESULT = 74
"""EX_IOERR: disk or data failed, not the submission; the trial can be resumed."""
EXIT_INTERRUPTED = 75
"""EX_TEMPFAIL: a signal asked it to stop; a checkpoint is written."""
