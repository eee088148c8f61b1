"""The contract of an architecture of the torch backend (`runner.backends.torch.models`) as tests. Subclass `ModelContract`:

class TestSpot(ModelContract):
    plugin = SpotModel

    @pytest.fixture
    def config(self) -> TorchConfig:
        return config_for(Spot(num_classes=3), (SpotTarget(),))
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from runner.backends.torch.batch import Batch
from runner.backends.torch.models.base import DetectorModel, build_model, load_model
from runner.backends.torch.models.detector import Detections, Detector
from runner.backends.torch.schema import COCODataSet, EvalReader, TorchConfig, TrainReader
from runner.backends.torch.transforms.schema import PadBatch
from runner.core.errors import InputError
from runner.core.importing import child_environment

CLASSES = 3
BOXES = ([[10.0, 8.0, 58.0, 52.0], [64.0, 20.0, 92.0, 60.0]], [[5.0, 5.0, 30.0, 40.0]])
LABELS = ([1, 2], [0])


def config_for(architecture: Any, batch_transforms: Sequence[Any] = (), **changes: Any) -> TorchConfig:
    """Make a config of three classes around an architecture; `changes` are further keys of `TorchConfig`."""
    config = TorchConfig(
        architecture=architecture,
        num_classes=CLASSES,
        train_dataset=COCODataSet(),
        eval_dataset=COCODataSet(),
        train_reader=TrainReader(
            sample_transforms=(), batch_transforms=(PadBatch(pad_to_stride=32), *batch_transforms), num_classes=CLASSES
        ),
        eval_reader=EvalReader(sample_transforms=(), batch_transforms=(PadBatch(pad_to_stride=32),), num_classes=CLASSES),
        use_gpu=False,
    )
    return replace(config, **changes)


def batch(
    boxes: Sequence[Sequence[Sequence[float]]] = BOXES, labels: Sequence[Sequence[int]] = LABELS, size: tuple[int, int] = (64, 96)
) -> Batch:
    """Make a batch of random images of `size` (height, width) in pixels, the same at every call, with these objects."""
    generator = torch.Generator().manual_seed(7)
    count = len(boxes)
    return Batch(
        images=torch.randn(count, 3, *size, generator=generator),
        boxes=tuple(torch.tensor(image, dtype=torch.float32).reshape(-1, 4) for image in boxes),
        classes=tuple(torch.tensor(image, dtype=torch.int64) for image in labels),
        scales=torch.ones(count, 2),
        sizes=torch.tensor([size] * count),
        ids=tuple(range(count)),
        names=tuple(f"{index}.png" for index in range(count)),
    )


def built(config: TorchConfig, seed: int = 0) -> Detector:
    """Build the network of `config` as a run with this seed does."""
    torch.manual_seed(seed)
    return build_model(config)


def same(first: Sequence[Detections], second: Sequence[Detections]) -> bool:
    """Return whether detections are equal to the bit."""
    return len(first) == len(second) and all(
        torch.equal(a.boxes, b.boxes) and torch.equal(a.scores, b.scores) and torch.equal(a.classes, b.classes)
        for a, b in zip(first, second, strict=True)
    )


class ModelContract:
    """Duties of every architecture. `plugin` is registered; `config` gives a small one of its configs, of three classes."""

    plugin: type[DetectorModel]
    fixed_size: tuple[int, int] | None = None
    """Height and width in pixels of every batch, of an architecture that takes no others."""

    def batch(
        self, boxes: Sequence[Sequence[Sequence[float]]] = BOXES, labels: Sequence[Sequence[int]] = LABELS, size: tuple[int, int] = (64, 96)
    ) -> Batch:
        """Make a batch that the architecture takes (see `batch`)."""
        return batch(boxes, labels, self.fixed_size or size)

    @pytest.fixture
    def config(self) -> TorchConfig:
        """Return a small config without problems (see `config_for`); its detections are not empty for a fresh network."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def one_thread(self) -> Any:
        """Small tensors are quicker on one thread."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    # ---------------------------------------------------------------------------------------------------- the plug-in
    def test_it_is_registered_under_the_name_of_its_schema(self) -> None:
        assert isinstance(load_model(self.plugin.schema.__name__), self.plugin)

    def test_importing_it_loads_no_torch(self) -> None:
        code = f"import sys, {self.plugin.__module__}; sys.exit('torch' in sys.modules)"
        subprocess.run([sys.executable, "-P", "-c", code], env=child_environment(), check=True)

    def test_checking_a_config_finds_no_problem(self, config: TorchConfig) -> None:
        assert list(self.plugin().check(config)) == []

    # -------------------------------------------------------------------------------------------------------- training
    def test_losses_are_finite_scalars_that_sum_to_the_loss(self, config: TorchConfig) -> None:
        losses = built(config).train()(self.batch())
        assert all(value.shape == () and value.isfinite() for value in losses.values())
        parts = [value for name, value in losses.items() if name != "loss"]
        assert parts and all(name.startswith("loss") for name in losses)
        assert torch.allclose(losses["loss"], torch.stack(parts).sum())

    @pytest.mark.parametrize(("boxes", "labels"), [(BOXES, LABELS), (([], BOXES[1]), ([], LABELS[1])), (([],), ([],))])
    def test_every_trained_parameter_gets_a_finite_gradient(self, config: TorchConfig, boxes: Any, labels: Any) -> None:
        model = built(config).train()
        model(self.batch(boxes, labels))["loss"].backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            else:
                assert parameter.grad is None, name

    @pytest.mark.parametrize("size", [(33, 47), (64, 64)])
    def test_any_image_size_is_taken(self, config: TorchConfig, size: tuple[int, int]) -> None:
        model, given = built(config).train(), self.batch(([[2.0, 2.0, 30.0, 30.0]],), ([0],), size)
        assert model(given)["loss"].isfinite()
        assert len(model.predict(given)) == 1

    def test_it_learns_a_batch(self, config: TorchConfig) -> None:
        model = built(config).train()
        optimizer = torch.optim.Adam([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1e-3)
        losses = []
        for _ in range(15):
            optimizer.zero_grad()
            loss = model(self.batch())["loss"]
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.9 * losses[0], losses

    def test_losses_are_finite_in_bfloat16(self, config: TorchConfig) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = built(config).train()(self.batch())
        assert all(value.isfinite() for value in losses.values())

    def test_settings_cover_every_parameter_once(self, config: TorchConfig) -> None:
        model = built(config)
        settings = model.parameter_settings()
        assert sorted(settings) == sorted(name for name, _ in model.named_parameters())
        assert all(setting.lr_mult >= 0 and float(setting.decay) >= 0 for setting in settings.values())

    def test_gradient_checkpointing_gives_the_same_bits(self, config: TorchConfig) -> None:
        if "gradient_checkpointing" not in self.plugin.honoured_keys:
            pytest.skip("the architecture refuses the key")
        plain, less = built(config).train(), built(config).train()
        less.checkpoint_gradients()
        for model in (plain, less):
            model(self.batch())["loss"].backward()
        assert_equal(plain.state_dict(), less.state_dict())
        gradients = [{name: one.grad for name, one in model.named_parameters() if one.grad is not None} for model in (plain, less)]
        assert_equal(*gradients)

    def test_layers_are_parts_of_the_network(self, config: TorchConfig) -> None:
        if "OptimizerBuilder.layer_decay" not in self.plugin.honoured_keys:
            pytest.skip("the architecture refuses the key")
        model = built(config)
        layers = [beginning for layer in model.layers() for beginning in layer]
        names = [name for name, _ in model.named_parameters()]
        assert layers and all(any(name.startswith(beginning) for name in names) for beginning in layers)
        assert any(not name.startswith(tuple(layers)) for name in names), "what comes after the last layer"

    # ------------------------------------------------------------------------------------------------------ detections
    def test_detections_are_sorted_boxes_with_scores_and_classes(self, config: TorchConfig) -> None:
        found = built(config).predict(self.batch())
        assert len(found) == len(BOXES) and any(len(image.scores) for image in found)
        for image in found:
            boxes, scores, classes = image.boxes, image.scores, image.classes
            count = len(scores)
            assert boxes.shape == (count, 4) and scores.shape == classes.shape == (count,)
            assert boxes.is_floating_point() and classes.dtype == torch.int64
            assert all(tensor.device.type == "cpu" and not tensor.requires_grad for tensor in (boxes, scores, classes))
            assert (boxes[:, 2:] >= boxes[:, :2]).all()
            assert ((scores >= 0) & (scores <= 1)).all() and (scores[:-1] >= scores[1:]).all()
            assert ((classes >= 0) & (classes < CLASSES)).all()

    def test_detections_are_in_pixels_of_the_stored_image(self, config: TorchConfig) -> None:
        model, given = built(config), self.batch()
        whole = model.predict(given)
        halved = model.predict(replace(given, scales=given.scales * torch.tensor([2.0, 4.0])))
        factor = torch.tensor([4.0, 2.0, 4.0, 2.0])  # scales are of height and width
        for first, second in zip(whole, halved, strict=True):
            count = min(len(first.scores), len(second.scores))  # what overlaps may differ in the last bit
            assert torch.allclose(first.scores[:count], second.scores[:count])
            assert torch.allclose(first.boxes[:1], second.boxes[:1] * factor, rtol=1e-4, atol=1e-3)

    def test_predicting_leaves_mode_and_state(self, config: TorchConfig) -> None:
        model = built(config).train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        model.predict(self.batch())
        assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    def test_what_is_exported_finds_the_same(self, config: TorchConfig) -> None:
        model = built(config).eval()
        one = replace(batch(BOXES[:1], LABELS[:1]), scales=torch.ones(1, 2))
        try:
            network = model.exportable()
        except InputError as error:
            assert str(error).startswith("cannot be exported: ")
            return
        with torch.no_grad():
            boxes, scores, classes = network(one.images)
        (expected,) = model.predict(one)
        assert len(scores) == len(expected.scores) > 0
        assert torch.allclose(boxes, expected.boxes, atol=1e-3) and torch.allclose(scores, expected.scores, atol=1e-5)
        assert torch.equal(classes, expected.classes)

    # ----------------------------------------------------------------------------------------------- same bits, weights
    def test_the_same_seed_gives_the_same_bits(self, config: TorchConfig) -> None:
        first, second = built(config), built(config)
        assert_equal(first.state_dict(), second.state_dict())
        assert same(first.predict(self.batch()), second.predict(self.batch()))
        for model in (first, second):
            torch.manual_seed(1)  # a network may draw from the global generator, whose state checkpoints keep, and from nothing else
            model.train()(self.batch())["loss"].backward()
        gradients = [{name: one.grad for name, one in model.named_parameters() if one.grad is not None} for model in (first, second)]
        assert_equal(*gradients)

    def test_a_state_dict_comes_back_from_a_file(self, config: TorchConfig) -> None:
        model, other, file = built(config), built(config, seed=1), io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert_equal(model.state_dict(), other.state_dict())
        assert same(model.predict(self.batch()), other.predict(self.batch()))

    def test_class_outputs_have_a_row_per_class(self, config: TorchConfig) -> None:
        model = built(config)
        for name in model.class_outputs:
            rows = model.class_rows(name, model.state_dict()[name], CLASSES)
            assert rows is not None and len(rows) == model.first_class + CLASSES, name
            assert model.class_rows(name, model.state_dict()[name], 7 * CLASSES) is None, name

    def test_weights_of_paddledetection_are_renamed_or_refused(self, config: TorchConfig) -> None:
        strange = {"some.other.weight": torch.zeros(2)}
        try:
            assert built(config).from_paddle(strange) == strange
        except InputError as error:
            assert str(error)


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    """Check that two dicts of tensors are equal to the bit."""
    assert list(first) == list(second)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
