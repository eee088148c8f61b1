"""The feature pyramid: torchvision's, with PaddleDetection's levels above it and initialisation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from runner.backends.torch.models.detector import ParameterSetting, prefixed, settings
from runner.backends.torch.models.layers import schema
from runner.backends.torch.models.layers.norms import norm_layer


class ExtraLevels(ExtraFPNBlock):  # type: ignore[misc]  # torchvision has no types
    """Levels above the backbone's: stride-2 convolutions, or one by subsampling."""

    def __init__(self, config: schema.FPN, backbone_channels: int) -> None:
        super().__init__()
        self.config = config
        self.convs = nn.ModuleList()
        if not config.has_extra_convs:
            return
        for index in range(config.extra_stage):
            channels = backbone_channels if index == 0 and config.use_c5 else config.out_channel
            conv = nn.Conv2d(channels, config.out_channel, 3, stride=2, padding=1, bias=config.norm_type is None)
            layers: list[nn.Module] = [conv]
            if config.norm_type is not None:
                layers.append(norm_layer(config.norm_type)(config.out_channel))
            self.convs.append(nn.Sequential(*layers))

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Return the pyramid's levels `results` made from the backbone's `x`, with the extra ones after them."""
        if not self.config.has_extra_convs:
            return [*results, F.max_pool2d(results[-1], 1, stride=2)], [*names, "extra0"]
        for index, conv in enumerate(self.convs):
            if index == 0:
                source = x[-1] if self.config.use_c5 else results[-1]
            else:
                source = F.relu(results[-1]) if self.config.relu_before_extra_convs else results[-1]
            results, names = [*results, conv(source)], [*names, f"extra{index}"]
        return results, names


class FeaturePyramid(nn.Module):
    """Feature pyramid network (arXiv 1612.03144).

    Any image size goes: a level is enlarged to the size of the one below, where PaddleDetection doubles it and so needs
    images padded to a multiple of the backbone's largest stride. On such images both compute the same.
    """

    def __init__(self, config: schema.FPN, channels: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        extra = ExtraLevels(config, channels[-1]) if config.extra_stage else None
        norm = norm_layer(config.norm_type) if config.norm_type is not None else None
        self.fpn = FeaturePyramidNetwork(list(channels), config.out_channel, extra_blocks=extra, norm_layer=norm)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                # Of a lateral convolution PaddleDetection takes the input channels for both fans; elsewhere this is
                # Xavier's rule, unchanged.
                if layer.kernel_size == (1, 1):
                    nn.init.kaiming_uniform_(layer.weight, a=1)
                else:
                    nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return the backbone's levels, finest first → Float[B, out_channel, h, w] for each of them and each extra one."""
        named = OrderedDict((str(index), level) for index, level in enumerate(levels))
        return list(self.fpn(named).values())

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Return the settings by parameter name."""
        return prefixed("fpn", settings(self.fpn, norm_decay=self.config.norm_decay))
