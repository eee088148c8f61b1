"""Depth of a ResNet, from the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks per stage (arXiv 1512.03385, table 1). From 50 layers on a block has three convolutions instead of two."""
_NAME = re.compile(r"backbone\.layer([1-4])\.(\d+)\.conv(\d)\.weight")


def resnet_name(names: Iterable[str]) -> str:
    """Return ``ResNet-50`` for the tensors of a model with such a backbone, also of its first stages alone (``ResNet-50 or 101`` where
    those are the same); empty for another backbone."""
    found = [tuple(map(int, match.groups())) for name in names if (match := _NAME.fullmatch(name))]
    if not found:
        return ""
    stages = sorted({stage for stage, _, _ in found})
    blocks = [1 + max(block for stage, block, _ in found if stage == one) for one in stages]
    bottleneck = any(conv == 3 for _, _, conv in found)
    fitting = [
        str(depth) for depth, counts in _BLOCKS.items() if (depth >= 50) == bottleneck and [counts[stage - 1] for stage in stages] == blocks
    ]
    return f"ResNet-{' or '.join(fitting)}" if fitting else ""
