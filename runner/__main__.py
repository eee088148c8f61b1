"""``python -m runner``, for which Python itself puts the working directory first on the import path; ``runner`` is better."""

import sys

from runner.core.importing import leave_working_directory_out

if not sys.flags.safe_path:
    leave_working_directory_out(first=True)

from runner.cli.main import main  # noqa: E402

raise SystemExit(main())
