"""torchvision's ResNet and MobileNetV3 as feature extractors with PaddleDetection's stage numbers, freezing and
learning-rate factors; and timm's networks as they are.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision import models

from runner.backends.torch.models.detector import ParameterSetting, prefixed, settings
from runner.backends.torch.models.layers import schema
from runner.backends.torch.models.layers.norms import init_backbone, norm_layer
from runner.backends.torch.models.layers.recompute import recomputed
from runner.backends.torch.models.layers.timm_features import create_timm, features_of


class ResNetBackbone(nn.Module):
    """ResNet (arXiv 1512.03385) up to the last stage that is handed on; names are torchvision's, so its weights fit
    (with 18 and 34 layers where `first_shortcut` is an identity; PaddleDetection's have a projection there).

    As in PaddleDetection, `freeze_at` stops the gradient of a stage's parameters; the statistics of its batch norm are
    kept only by `freeze_norm`.
    """

    channels: tuple[int, ...]
    """Channels of each level handed on."""
    recompute: bool
    """Training computes each stage a second time in place of keeping its features (gradient checkpointing)."""

    def __init__(self, config: schema.ResNet) -> None:
        super().__init__()
        build = {18: models.resnet18, 34: models.resnet34, 50: models.resnet50, 101: models.resnet101}[config.depth]
        norm = norm_layer(config.norm_type, fixed=config.freeze_norm)
        whole = build(weights=None, norm_layer=norm)
        if config.depth < 50 and config.first_shortcut == "projection":
            whole.layer1[0].downsample = nn.Sequential(nn.Conv2d(64, 64, 1, bias=False), norm(64))
        init_backbone(whole)
        self.config = config
        self.recompute = False
        self.conv1, self.bn1, self.relu, self.maxpool = whole.conv1, whole.bn1, whole.relu, whole.maxpool
        stages = range(max(config.return_idx) + 1)
        for stage in stages:
            self.add_module(f"layer{stage + 1}", getattr(whole, f"layer{stage + 1}"))
        expansion = 4 if config.depth >= 50 else 1
        self.channels = tuple(64 * 2**stage * expansion for stage in config.return_idx)
        if config.freeze_at >= 0:
            for module in (
                self.conv1,
                self.bn1,
                *(self._stage(stage) for stage in stages if stage <= config.freeze_at),
            ):
                module.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute Float[B, 3, H, W] → a Float[B, C, ceil(H / stride), ceil(W / stride)] for each level of `return_idx`."""
        out = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        levels = []
        for stage in range(max(self.config.return_idx) + 1):
            out = recomputed(self._stage(stage), out) if self.recompute else self._stage(stage)(out)
            if stage in self.config.return_idx:
                levels.append(out)
        return levels

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Return the settings by parameter name."""
        norm_decay = self.config.norm_decay
        found = prefixed("conv1", settings(self.conv1)) | prefixed("bn1", settings(self.bn1, norm_decay=norm_decay))
        for stage in range(max(self.config.return_idx) + 1):
            found |= prefixed(
                f"layer{stage + 1}",
                settings(self._stage(stage), lr_mult=self.config.lr_mult_list[stage], norm_decay=norm_decay),
            )
        return found

    def layers(self) -> list[tuple[str, ...]]:
        """List the modules of each layer: the stem, then the stages."""
        return [("conv1", "bn1"), *((f"layer{stage + 1}",) for stage in range(max(self.config.return_idx) + 1))]

    def _stage(self, index: int) -> nn.Module:
        return self.get_submodule(f"layer{index + 1}")


class MobileNetV3Backbone(nn.Module):
    """MobileNetV3 (arXiv 1905.02244) up to the last block that is handed on; names are torchvision's, so its weights
    fit.

    torchvision's and PaddleDetection's networks differ in the width of squeeze-and-excitation, in the slope of its hard
    sigmoid and in a 1x1 convolution in the first block. The momentum of batch norm is PaddleDetection's; its epsilon is
    0.001, which torchvision's weights were trained with.
    """

    channels: tuple[int, ...]
    """Channels of each level handed on."""
    recompute: bool
    """Training computes each block a second time in place of keeping its features (gradient checkpointing)."""

    def __init__(self, config: schema.MobileNetV3) -> None:
        super().__init__()
        build = {"large": models.mobilenet_v3_large, "small": models.mobilenet_v3_small}[config.model_name]
        whole = build(
            weights=None,
            width_mult=config.scale,
            norm_layer=norm_layer(config.norm_type, fixed=config.freeze_norm, eps=0.001),
        )
        init_backbone(whole)
        self.config = config
        self.recompute = False
        self.features = whole.features[: max(config.feature_maps)]
        self.channels = tuple(_output_channels(self.features[layer - 1]) for layer in config.feature_maps)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute Float[B, 3, H, W] → a Float[B, C, ceil(H / stride), ceil(W / stride)] for each layer of `feature_maps`."""
        out, levels = images, []
        for number, layer in enumerate(self.features, start=1):
            out = recomputed(layer, out) if self.recompute else layer(out)
            if number in self.config.feature_maps:
                levels.append(out)
        return levels

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Return the settings by parameter name. As in PaddleDetection, conv_decay (0 unless set) replaces the optimiser's regulariser."""
        factors = self.config.lr_mult_list
        found: dict[str, ParameterSetting] = {}
        for index, layer in enumerate(self.features):
            # PaddleDetection: three blocks share a factor, and the last factor takes all that remain; the stem goes
            # with the first.
            factor = factors[min(max(index - 1, 0) // 3, len(factors) - 1)]
            found |= prefixed(
                f"features.{index}",
                settings(layer, lr_mult=factor, decay=self.config.conv_decay or False, norm_decay=self.config.norm_decay),
            )
        return found

    def layers(self) -> list[tuple[str, ...]]:
        """List the modules of each layer: the stem, then the blocks."""
        return [(f"features.{index}",) for index in range(len(self.features))]


class TimmBackbone(nn.Module):
    """A network of timm; names are timm's, below ``body``."""

    channels: tuple[int, ...]
    """Channels of each level handed on."""

    def __init__(self, config: schema.Timm) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        self.body = create_timm(config)
        self.channels = features_of(config).channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute Float[B, 3, H, W] → a Float[B, C, h, w] for each of `out_indices`."""
        return list(self.body(images))

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Return the settings by parameter name."""
        return prefixed("body", settings(self.body, norm_decay=self.config.norm_decay))

    def layers(self) -> list[tuple[str, ...]]:
        """List the network's parts; they are no stages in every network, so a config that needs those is refused."""
        return [(f"body.{name}",) for name, part in self.body.named_children() if any(True for _ in part.parameters())]


def _output_channels(block: nn.Module) -> int:
    return [layer.out_channels for layer in block.modules() if isinstance(layer, nn.Conv2d)][-1]


def build_backbone(config: schema.Backbone) -> ResNetBackbone | MobileNetV3Backbone | TimmBackbone:
    """Build the backbone that `config` describes, at random weights."""
    if isinstance(config, schema.Timm):
        return TimmBackbone(config)
    return ResNetBackbone(config) if isinstance(config, schema.ResNet) else MobileNetV3Backbone(config)
