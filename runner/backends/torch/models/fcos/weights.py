"""PaddleDetection 2.6's names for the tensors of an FCOS. A pyramid's levels are matched from the coarsest of the backbone's down, a head's
scales by stride, as there. Neither framework is needed here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from runner.backends.torch.models.layers.weight_names import conv_norm, shared_names


def paddle_names(keys: Iterable[str], strides: Sequence[int]) -> dict[str, str]:
    """Map the names of an FCOS to PaddleDetection's, those that it has.

    Args:
        keys: of the torch model's state dict.
        strides: of the head's levels in pixels (FCOSHead.fpn_stride).
    """
    keys = list(keys)
    shared = shared_names(keys)
    found = {key: shared.get(key) or _head_name(key, strides) for key in keys}
    return {key: there for key, there in found.items() if there is not None}


def _head_name(key: str, strides: Sequence[int]) -> str | None:
    if match := re.fullmatch(r"fcos_head\.scales_regs\.(\d+)", key):
        return f"fcos_head.p{int(math.log2(strides[int(match[1])]))}_feat.scale_reg"
    if match := re.fullmatch(r"(fcos_head\.fcos_feat)\.(cls|reg)_subnet_convs\.(\d+)\.(conv|norm)\.(\w+)", key):
        return conv_norm(f"{match[1]}.fcos_head_{match[2]}_tower_conv_{match[3]}", match[4] == "norm", match[5])
    return key if re.fullmatch(r"fcos_head\.fcos_head_(cls|reg|centerness)\.(weight|bias)", key) else None
