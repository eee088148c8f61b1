"""The loss scaler of mixed precision, which ppdet's loop makes for itself and forgets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runner.backends.paddle.ppdet import load_ppdet

load_ppdet()

import paddle  # noqa: E402


class ResumableScaler:
    """Catches the scaler that is made during a training, so that its state is saved and restored."""

    def __init__(self) -> None:
        self._made: Any = None
        self._state: dict[str, Any] | None = None

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Catch `paddle.amp.GradScaler` inside the context."""
        original, holder = paddle.amp.GradScaler, self

        class Caught(original):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                if holder._state:
                    self.load_state_dict(holder._state)
                holder._made = self

        paddle.amp.GradScaler = Caught
        try:
            yield
        finally:
            paddle.amp.GradScaler = original

    def state_dict(self) -> dict[str, Any]:
        """Return plain values and tensors; empty without mixed precision."""
        return dict(self._made.state_dict()) if self._made is not None else dict(self._state or {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state from which the scaler will start."""
        self._state = state
