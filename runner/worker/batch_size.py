"""Main of the process that measures ``TrainReader.batch_size: auto``: `python -P -m runner.worker.batch_size FOLDER GPU_SHARE MEMORY_GIB`.

FOLDER has the config as config.yml; the answer is written to `ANSWER` there. MEMORY_GIB is 0 where there is no limit.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from runner.backends.base import MeasuresBatchSize
from runner.core.errors import RunnerError
from runner.core.files import atomic_write_json
from runner.core.process import die_with_parent
from runner.store.run_dir import RunDir
from runner.worker.main import load_run

ANSWER = "batch_size.json"
log = logging.getLogger("runner.worker")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the `BatchSizeChoice`. Returns 0, or the exit code of what went wrong, with the reason as the last line of the output."""
    die_with_parent()
    folder, gpu_share, memory_gib = sys.argv[1:] if argv is None else argv
    try:
        backend, config = load_run(RunDir(folder))
        if not isinstance(backend, MeasuresBatchSize):
            raise RunnerError(f"the backend {backend.name} does not measure batch sizes")
        choice = backend.choose_batch_size(config, gpu_share=float(gpu_share), memory_gib=float(memory_gib) or None)
    except RunnerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    atomic_write_json(Path(folder, ANSWER), asdict(choice))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
