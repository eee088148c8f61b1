"""Small configs of the models of transformers, which build in a moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.backends.torch.models.transformers_detector.schema import TransformersDetector
from runner.backends.torch.schema import TorchConfig
from runner.testing.models import config_for

BASIC = {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"}
HGNET = {
    "embedding_size": 8,
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1, 1, 1, 1],
    "stem_channels": [3, 8, 8],
    "stage_in_channels": [8, 8, 16, 24],
    "stage_mid_channels": [8, 8, 8, 8],
    "stage_out_channels": [8, 16, 24, 32],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_numb_of_layers": [1, 1, 1, 1],
}
PYRAMID: Mapping[str, Any] = {
    "d_model": 32,
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 32,
    "decoder_attention_heads": 2,
    "decoder_layers": 2,
    "num_queries": 12,
    "num_denoising": 6,
    "freeze_backbone_batch_norms": False,
}
PLAIN: Mapping[str, Any] = {
    "d_model": 32,
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "encoder_layers": 1,
    "decoder_ffn_dim": 32,
    "decoder_attention_heads": 2,
    "decoder_layers": 2,
    "num_queries": 12,
    "dropout": 0.0,
    "init_std": 0.1,
    "auxiliary_loss": True,
    "backbone_config": {"model_type": "hgnet_v2", **HGNET, "initializer_range": 0.2},
}
VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 8,
    "out_indices": [1, 2],
    "initializer_range": 0.1,
}
GROUPED: Mapping[str, Any] = {
    "d_model": 64,
    "decoder_layers": 2,
    "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "num_queries": 12,
    "group_detr": 2,
    "dropout": 0.0,
    "init_std": 0.2,
    "c2f_num_blocks": 1,
}
SMALL: Mapping[str, Mapping[str, Any]] = {
    "rt_detr": {**PYRAMID, "backbone_config": BASIC},
    "rt_detr_v2": {**PYRAMID, "backbone_config": BASIC},
    "d_fine": {**PYRAMID, "backbone_config": HGNET},
    "deimv2": {**PYRAMID, "backbone_config": HGNET},
    "detr": PLAIN,
    "conditional_detr": PLAIN,
    "deformable_detr": {**PLAIN, "num_feature_levels": 3},
    "dab_detr": {("hidden_size" if key == "d_model" else key): value for key, value in PLAIN.items()},
    "lw_detr": {
        **GROUPED,
        "projector_scale_factors": [1.0],
        "backbone_config": {**VIT, "num_windows": 4, "window_block_indices": [0], "pretrain_image_size": 64},
    },
    "rf_detr": {**GROUPED, "backbone_config": {**VIT, "num_windows": 2, "image_size": 64}},
}
"""`config` of each model: two decoder layers, 32 wide, 12 queries."""


def small_config(model: str, config: Mapping[str, Any] | None = None, **changes: Any) -> TorchConfig:
    """Make a small config of `model`, with changes of its `config` and of top-level keys."""
    detector = TransformersDetector(model=model, config={**SMALL[model], **(config or {})})  # type: ignore[arg-type] # one of the list
    return config_for(detector, **changes)
