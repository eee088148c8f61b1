"""What is refused of a config for ppdet before it starts: what ppdet would drop, what it would fail at late, what is another task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.weights import lock

from runner.core.errors import InputError
from runner.resolve import Resolved, resolve

CONFIGS = Path(__file__).with_name("configs")
Check = Callable[..., Resolved]


@pytest.fixture
def check(paddle_python: Path, coco: Path) -> Check:
    """Resolves one of the configs here with overrides, or a file."""

    def run(config: str | Path, *overrides: str) -> Resolved:
        folders = [f"{part}Dataset.dataset_dir={json.dumps(str(coco))}" for part in ("Train", "Eval", "Test")]
        path = CONFIGS / f"{config}.yml" if isinstance(config, str) else config
        return resolve(path, ["backend=paddle", f"backend_python={json.dumps(str(paddle_python))}", *folders, *overrides])

    return run


@pytest.mark.parametrize(
    ("config", "override", "key", "message"),
    [
        ("fcos", "FCOSHead.num_conv=4", "FCOSHead.num_conv", "unknown key of FCOSHead; allowed: centerness_on_reg, "),
        ("fcos", "FCOSHead.fcos_feat.num_conv=4", "FCOSHead.fcos_feat.num_conv", "unknown key of FCOSFeat; did you mean 'num_convs'"),
        ("fcos", "patience=3", "patience", "unknown key; the key is early_stop"),
        ("fcos", "FCOSLoss.class_weight=[1]", "FCOSLoss.class_weight", "unknown key of FCOSLoss; classes cannot be weighted"),
        ("fcos", "quux=3", "quux", "unknown key; `runner config show -c FILE` prints every key"),
        ("fcos", "FCOSHaed={num_shift: 0.5}", "FCOSHaed", "unknown key; did you mean 'FCOSHead'"),
        ("fcos", "FCOS.fcos_head=FCOSHaed", "FCOS.fcos_head", "ppdet has no module 'FCOSHaed'; did you mean 'FCOSHead'"),
        ("fcos", "FCOS.fcos_head={name: FCOSHead}", "FCOS.fcos_head", "expected the name of a module"),
        ("fcos", "FCOSHead.fcos_loss=FCOSLos", "FCOSHead.fcos_loss", "ppdet has no module 'FCOSLos'; did you mean 'FCOSLoss'"),
        ("fcos", "FCOSHead.num_shift=half", "FCOSHead.num_shift", "expected a number (ppdet's default is 0.5), got 'half'"),
        ("fcos", "FCOSHead.num_shift=[0.5]", "FCOSHead.num_shift", "expected a number (ppdet's default is 0.5), got a list"),
        ("fcos", "FCOSHead.norm_reg_targets=yes please", "FCOSHead.norm_reg_targets", "expected true or false (ppdet's default is True)"),
        ("fcos", "TrainReader.sample_transforms.2.RandomFlip.prob={}", "TrainReader.sample_transforms.2.RandomFlip.prob", "got a mapping"),
        ("fcos", "FCOSLoss={loss_alpha: 0.5}", "FCOSLoss.loss_alpha", "ppdet 2.6.0 ignores it and always uses 0.25"),
        ("fcos", "FCOSHead.fcos_loss={name: FCOSLoss, reg_weights: 2}", "FCOSHead.fcos_loss.reg_weights", "always uses 1.0"),
        ("fcos", "architecture=FCSO", "architecture", "ppdet has no architecture 'FCSO'; did you mean 'FCOS'"),
        ("fcos", "TrainReader.sample_transforms.2.RandomFlip.probe=1", "TrainReader.sample_transforms.2.RandomFlip.probe", "'prob'"),
        (
            "fcos",
            "TrainReader.sample_transforms.2={Resize: {target_size: [32, 32]}}",
            "TrainReader.sample_transforms.2.Resize",
            "needs keep_ratio",
        ),
        ("fcos", "FCOSHead.num_classes=3", "FCOSHead.num_classes", "3 does not match the data, which has 2 classes"),
        ("fcos", "TrainReader.batch_size=four", "TrainReader.batch_size", "expected an integer (at least 1), got 'four'"),
        ("fcos", "TrainReader.batch_size=0", "TrainReader.batch_size", "got 0"),
        ("fcos", "EvalReader.batch_size=1.5", "EvalReader.batch_size", "got 1.5"),
        ("fcos", "EvalReader=null", "EvalReader", "missing; expected a reader of images"),
        ("fcos", "LearningRate.base_lr=fast", "LearningRate.base_lr", "expected a number above 0, got 'fast'"),
        ("fcos", "LearningRate.base_lr=-0.1", "LearningRate.base_lr", "got -0.1"),
        ("fcos", "OptimizerBuilder.optimizer.momentun=0.9", "OptimizerBuilder.optimizer.momentun", "did you mean 'momentum'"),
        ("faster_rcnn", "RPNHead.train_proposal.pre_nms=5", "RPNHead.train_proposal.pre_nms", "unknown key of ProposalGenerator"),
        ("faster_rcnn", "BBoxHead.roi_extractor.size=5", "BBoxHead.roi_extractor.size", "unknown key of RoIAlign"),
        ("ssd", "SSDHead.anchor_generator.step=[1]", "SSDHead.anchor_generator.step", "unknown key of AnchorGeneratorSSD"),
        ("ppyoloe", "CSPResNet.width=2", "CSPResNet.width", "unknown key of CSPResNet; did you mean 'width_mult'"),  # it takes any: **args
        ("ppyoloe", "eval_height=32", "eval_height", "unknown key"),  # the file's is only a name for its value
        ("ppyoloe", "ema_skip_names=[proj]", "ema_skip_names", "unknown key"),
        ("fcos", "architecture=FairMOT", "architecture", "FairMOT tracks objects; of ppdet's models only those that find upright boxes"),
        ("faster_rcnn", "FasterRCNN.bbox_head=QueryInst", "architecture", "QueryInst finds masks"),
        (
            "faster_rcnn",
            "FasterRCNN.bbox_head=MaskHead",
            "TrainDataset.data_fields",
            "has no gt_poly: MaskHead is trained on polygons; give -o",
        ),
        ("fcos", "reset_norm_param_attr=true", "reset_norm_param_attr", "the installed ppdet does not know it; release/2.7 and develop do"),
        ("ppyoloe", "YOLOv3.yolo_head=PPYOLOERHead", "architecture", "PPYOLOERHead finds rotated boxes"),
        ("ppyoloe", "initial_distance=1", "initial_distance", "only FCOS with norm_reg_targets: true"),
        ("fcos", "initial_distance=-1", "initial_distance", "from 0 to 100"),
        ("ppyoloe", "slim=QAT", "slim", "compression is not supported"),
        ("ppyoloe", "ssod_method=DenseTeacher", "ssod_method", "semi-supervised training is not supported"),
        ("ppyoloe", "metric=VOC", "metric", "only COCO; other annotations: `runner data prepare`"),
    ],
)
def test_it_is_refused(check: Check, config: str, override: str, key: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        check(config, override)
    (problem,) = error.value.problems
    assert problem.key == key and message in problem.message and problem.where, problem


def test_a_mask_head_needs_a_polygon_of_every_object(check: Check, coco: Path, tmp_path: Path) -> None:
    overrides = ["FasterRCNN.bbox_head=MaskHead", "TrainDataset.data_fields=[image, gt_bbox, gt_class, gt_poly, is_crowd]"]
    path = tmp_path / "polygons.json"
    document = json.loads(next(coco.rglob("*.json")).read_text(encoding="utf-8"))
    for entry in document["annotations"]:
        entry["segmentation"] = [[0, 0, 5, 0, 5, 5]]
    for found, expected in (([[0, 0, 5, 0]], "1 object of"), ([], "1 object of"), ({"counts": [], "size": []}, "1 object of"), (None, "")):
        if found is not None:
            document["annotations"][1]["segmentation"] = found
        else:
            document["annotations"][1] |= {"iscrowd": 1}
        path.write_text(json.dumps(document), encoding="utf-8")
        if not expected:
            check("faster_rcnn", *overrides, f"TrainDataset.anno_path={json.dumps(str(path))}")
            continue
        with pytest.raises(InputError) as error:
            check("faster_rcnn", *overrides, f"TrainDataset.anno_path={json.dumps(str(path))}")
        (problem,) = error.value.problems
        assert expected in problem.message and "no polygons in 'segmentation' (the first is annotation" in problem.message, problem


def test_all_problems_at_once(check: Check) -> None:
    with pytest.raises(InputError) as error:
        check("yolov3", "YOLOv3Loss.ignore=1", "BBoxPostProcess.nms.top_k=1", "TrainReader.batch_transforms.1={NormalisBox: {}}")
    assert [problem.key for problem in error.value.problems] == [
        "YOLOv3Loss.ignore",
        "BBoxPostProcess.nms.top_k",
        "TrainReader.batch_transforms.1",
    ]


def test_a_key_that_only_names_its_value_is_no_problem_and_goes(check: Check, tmp_path: Path) -> None:
    resolved = check("ppyoloe")
    assert resolved.plain["eval_size"] == [64, 64]  # a key that modules share, beside being a name
    assert "eval_height" not in resolved.plain and "eval_height" not in resolved.yaml
    (tmp_path / "config.yml").write_text(resolved.yaml, encoding="utf-8")
    assert check(tmp_path / "config.yml").plain == resolved.plain


def test_the_optimiser_with_a_rate_a_layer_has_the_keys_of_its_builder(check: Check) -> None:
    keys = "{type: AdamWDL, betas: [0.9, 0.999], layer_decay: 0.75, num_layers: 12, weight_decay: 0.05}"
    assert check("fcos", f"OptimizerBuilder.optimizer={keys}", "OptimizerBuilder.regularizer=null").config.modules


def test_weights_are_looked_up_in_the_lock(check: Check, store: Path) -> None:
    """Weights of the run, and of a module that loads its own: missing ones are named with the command, present ones are pinned."""
    url, swin = "ppdet://models/pretrained/R50.pdparams", "https://example.org/swin.pdparams"
    overrides = (f"pretrain_weights={url}", f"SwinTransformer.pretrained={swin}")
    with pytest.raises(InputError) as caught:
        check("fcos", *overrides)
    found = {problem.key: problem.message for problem in caught.value.problems}
    assert found["pretrain_weights"].endswith(f"runner weights fetch {url}")
    assert found["SwinTransformer.pretrained"].endswith(f"runner weights fetch {swin}")
    path = lock(url, b"one", ".pdparams")
    lock(swin, b"two", ".pdparams")
    resolved = check("fcos", *overrides)
    assert resolved.config.pretrain_weights == f"{url}#sha256={path.stem}"
    assert resolved.plain["SwinTransformer"]["pretrained"].startswith(f"{swin}#sha256=")


@pytest.mark.parametrize("source", ["ResNet50_Weights.IMAGENET1K_V1", "https://example.org/a.pth", "https://example.org/a.tar", "a.pth"])
def test_weights_that_paddle_cannot_read(check: Check, store: Path, source: str) -> None:
    with pytest.raises(InputError, match=r"expected a \.pdparams file, null, or the address of one"):
        check("fcos", f"pretrain_weights={source}")
