"""Names that a config of PaddleDetection 2.6 may contain, for messages where Paddle is not installed. With it, the module registry counts.

Only what detectors of upright boxes are made of. A test compares the names with the module registry.
"""

from __future__ import annotations

from typing import Final

_MODULES: Final = """
    ATSSAssigner AnchorGenerator AnchorGeneratorSSD BBoxAssigner BBoxHead BBoxLibraAssigner BBoxPostProcess BiFPN BlazeFace
    BlazeNeck BlazeNet COTLoss CSPDarkNet CSPPAN CSPResNet CTFocalLoss CascadeHead CascadeRCNN CascadeTwoFCHead CascadeXConvNormHead
    CenterNet CenterNetDLAFPN CenterNetHarDNetFPN CenterNetHead CenterNetPostProcess ConvMixer ConvNeXt CustomCSPPAN DETR
    DETRBBoxPostProcess DETRHead DETRLoss DETRTransformer DGQP DIIHead DINOHead DINOLoss DINOTransformer DIouLoss DLA DarkNet
    DeformableDETRHead DeformableTransformer DilatedEncoder DistributionFocalLoss ESNet ESPAN FCOS FCOSFeat FCOSHead FCOSLoss FPN
    FaceHead FasterRCNN FocalLoss GFL GFLHead GIoULoss GhostNet HRFPN HRNet HarDNet HungarianMatcher IouAwareLoss IouLoss LCNet
    LCPAN LDGFLHead MatrixNMS MaxIoUAssigner MobileNet MobileNetV3 MultiClassNMS OTAHead OTAVFLHead PPYOLOE PPYOLOEHead
    PPYOLOEWithAuxHead PPYOLOFPN PPYOLOPAN PPYOLOTinyFPN PicoDet PicoFeat PicoHead PicoHeadV2 ProposalGenerator
    QualityFocalLoss RCNNBox RPNHead RPNTargetAssign Res2Net Res2NetC5 Res5Head ResNet RetinaAnchorGenerator RetinaFeat RetinaHead
    RetinaNet RoIAlign SENet SERes5Head SIoULoss SSD SSDBox SSDHead SSDLoss ShuffleNetV2 SimOTAAssigner SimpleConvHead SmoothL1Loss
    SparsePostProcess SparseRCNN SparseRCNNHead SparseRCNNLoss SparseRoIHead SwinTransformer TOOD TOODHead TTFBox TTFFPN TTFHead
    TTFNet TaskAlignedAssigner TaskAlignedAssigner_CR TwoFCHead UniformAssigner VGG VarifocalLoss VisionTransformer WHHead
    XConvNormHead YOLOBox YOLOCSPPAN YOLOF YOLOFFeat YOLOFHead YOLOX YOLOXHead YOLOv3 YOLOv3FPN YOLOv3Head YOLOv3Loss
"""
_TRANSFORMS: Final = """
    AugmentHSV AugmentationbyInformantionDropping AutoAugment BatchRandomResize BboxCXCYWH2XYXY BboxXYXY2XYWH CenterRandColor
    CropWithDataAchorSampling CropWithSampling Cutmix Decode DecodeCache Gt2CenterNetTarget Gt2FCOSTarget Gt2GFLTarget
    Gt2SparseTarget Gt2TTFTarget Gt2YoloTarget LetterBoxResize Lighting Mixup Mosaic MultiscaleTestResize
    NoiseJitter NormalizeBox NormalizeImage NormalizePermute Pad PadBatch PadBox PadGT PadResize Permute RGBReverse RandomAffine
    RandomColorJitter RandomCrop RandomDistort RandomErasing RandomErasingCrop RandomErasingImage RandomExpand RandomFlip
    RandomGaussianBlur RandomGrayscale RandomResize RandomResizeCrop RandomScaledCrop RandomSelect RandomShift RandomShortSideResize
    RandomSizeCrop Resize
"""
_OPTIMIZERS: Final = "ASGD Adadelta Adagrad Adam AdamW AdamWDL Adamax LBFGS Lamb Momentum NAdam RAdam RMSProp Rprop SGD"
_SCHEDULERS: Final = "CosineDecay ExpWarmup LinearWarmup PiecewiseDecay"

NAMES: Final = frozenset(f"{_MODULES} {_TRANSFORMS} {_OPTIMIZERS} {_SCHEDULERS}".split())
