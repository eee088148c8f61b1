"""The FCOS model: what it is built from, what it learns, what it finds, and where its first weights come from."""

from runner.backends.torch.model.detector import FCOSDetector, build_model
from runner.backends.torch.model.layers import ParameterSetting
from runner.backends.torch.model.postprocess import Detections
from runner.backends.torch.model.pretrained import LoadReport, load_pretrained

__all__ = ["Detections", "FCOSDetector", "LoadReport", "ParameterSetting", "build_model", "load_pretrained"]
