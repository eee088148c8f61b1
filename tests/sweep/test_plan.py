"""Planning: the run's key, its name, and the runs of a sweep before and after some of them exist."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

import runner.sweep.plan
from runner.backends.fake.schema import FakeConfig
from runner.backends.paddle.schema import COCODataSet, PaddleConfig
from runner.config.dump import affecting_keys, canonical, result_affecting, to_plain
from runner.config.node import flatten
from runner.core.errors import InputError
from runner.data.prepare import prepare
from runner.resolve import resolve
from runner.search.base import Trial
from runner.search.load import load_sweep
from runner.search.spec import SweepSpec
from runner.store.run_dir import RunDir, Status
from runner.sweep.plan import PlannedRun, claim_run_dir, plan_again, plan_single, renumber, run_key, trial_keys
from runner.sweep.runs import prepare_run_dir
from runner.sweep.session_plan import SweepRequest, plan_sweep

ROOT = Path(__file__).resolve().parents[2]
WriteConfig = Callable[..., Path]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_DATA", raising=False)


@pytest.fixture
def data(coco: Path, tmp_path: Path) -> Path:
    """A copy of the small data set that may be changed."""
    return Path(shutil.copytree(coco, tmp_path / "a set"))


# ------------------------------------------------------------------------------------------------------------- the key
@pytest.mark.parametrize(
    "override",
    [
        "LearningRate.base_lr=0.02",
        "seed=1",
        "cpu_threads=2",
        "max_iters=5",
        "TrainReader.batch_size=1",
        "FCOSHead.nms.keep_top_k=3",
        "use_ema=true",
        "ResNet.norm_type=sync_bn",
        "OptimizerBuilder.optimizer.type=AdamW",
        "TrainDataset.sample_num=3",
        "eval_iou_thresholds=[0.4]",
        "TrainReader.sample_transforms.1={RandomFlip: {prob: 0.4}}",
    ],
)
def test_what_can_change_the_result_changes_the_key(write_config: WriteConfig, override: str) -> None:
    path = write_config()
    assert run_key(resolve(path, [override])) != run_key(resolve(path))


@pytest.mark.parametrize(
    "override",
    [
        "trackers=[tensorboard]",
        "use_vdl=true",
        "vdl_log_dir=elsewhere",
        "worker_num=2",
        "save_dir=elsewhere",
        "log_iter=7",
        "keep_checkpoints=5",
        "sample_images=0",
        "weights=x.pt",
        "max_iters=4",
        "max_iters=4.0",
        "LearningRate.base_lr=1e-2",
        "TrainReader.sample_transforms.1=RandomFlip",
    ],
)
def test_what_cannot_does_not(write_config: WriteConfig, override: str) -> None:
    path = write_config()
    assert run_key(resolve(path, [override])) == run_key(resolve(path))


def test_the_data_counts_by_content_and_not_by_place(write_config: WriteConfig, data: Path, tmp_path: Path) -> None:
    key = run_key(resolve(write_config(data=data)))
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    assert run_key(resolve(write_config("b.yml", data=moved))) == key
    text = (moved / "val.json").read_text().replace('"iscrowd": 0', '"iscrowd": 1', 1)
    (moved / "val.json").write_text(text)
    assert run_key(resolve(write_config("c.yml", data=moved))) != key
    image = next((data / "images").iterdir())
    image.write_bytes(image.read_bytes() + b"more")
    runner.sweep.plan._fingerprint.cache_clear()
    assert run_key(resolve(write_config(data=data))) != key


@pytest.mark.parametrize("below_home", [False, True])
def test_initial_weights_count_by_content(
    write_config: WriteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below_home: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "w 'ü'.pth"
    path = write_config(pretrain_weights="~/w 'ü'.pth" if below_home else str(file))
    file.write_bytes(b"one")
    first = run_key(resolve(path))
    file.write_bytes(b"two")
    assert run_key(resolve(path)) != first


def test_versions_count(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = resolve(write_config())
    first = run_key(resolved)
    monkeypatch.setattr(runner.sweep.plan, "versions", lambda python, packages: dict.fromkeys(packages, "9.9"))
    assert run_key(resolved) != first


# ------------------------------------------------------------------------------------------------------------ one run
def test_names_of_single_runs(write_config: WriteConfig) -> None:
    path = write_config("my cfg.yml", save_dir="out ü")
    resolved = resolve(path)
    assert claim_run_dir(resolved, []).path == Path("out ü/my cfg/0001-baseline-s0")
    assert claim_run_dir(resolved, ["TrainReader.batch_size=8", "max_iters=4"]).name == "0002-batch_size=8,max_iters=4-s0"
    for taken in ("0004-x-s0", "0001-y-s0", "notes"):
        Path("out ü/my cfg", taken).mkdir(parents=True)
    assert claim_run_dir(resolved, ["seed=7"]).name == "0005-baseline-s0"
    assert len(claim_run_dir(resolved, [f"TrainReader.sample_transforms={list(range(200))}"]).name) < 100


def test_a_single_run_is_named_for_what_it_varies(write_config: WriteConfig) -> None:
    resolved = resolve(write_config("c.yml", save_dir="out"))
    where = [
        "backend=torch",
        "use_gpu=false",
        "worker_num=0",
        "dataset=x",
        "EvalDataset.anno_path=y",
        "pretrain_weights=a/b.pth",
        "log_iter=5",
    ]
    assert claim_run_dir(resolved, where).name == "0001-baseline-s0"
    named = claim_run_dir(resolved, [*where, "image_size=64", "LearningRate.base_lr=0.1", "LearningRate.schedulers.0.gamma=0.5"]).name
    assert named == "0002-image_size=64,base_lr=0.1,gamma=0.5-s0"


def test_names_claimed_at_once_have_each_their_number(write_config: WriteConfig) -> None:
    resolved = resolve(write_config("c.yml", save_dir="out"))
    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(lambda number: claim_run_dir(resolved, [f"seed={number % 2}"]), range(24)))
    assert sorted(int(run.name[:4]) for run in claimed) == list(range(1, 25)) and all(run.path.is_dir() for run in claimed)


def test_run_again_from_its_own_files(write_config: WriteConfig) -> None:
    path = write_config()
    planned = plan_single(resolve(path, ["max_iters=5"]), RunDir("a run"), ["max_iters=5"])
    prepare_run_dir(planned)
    again = plan_again(RunDir("a run"))
    assert (
        again.identity == planned.identity
        and again.resolved.config == planned.resolved.config
        and run_key(again.resolved) == planned.identity.key
    )
    assert plan_again(RunDir("a run"), path, ["max_iters=5", "worker_num=3"]).identity == planned.identity
    with pytest.raises(InputError, match="cannot resume: the config given differs from this run's in max_iters"):
        plan_again(RunDir("a run"), path)
    with pytest.raises(InputError, match=r"differs from this run.s in LearningRate\.base_lr"):
        plan_again(RunDir("a run"), None, ["LearningRate.base_lr=0.5"])


def interrupted(config: Path, overrides: Sequence[str] = ()) -> RunDir:
    run_dir = RunDir("a run")
    prepare_run_dir(plan_single(resolve(config, overrides), run_dir, overrides))
    run_dir.write_status(Status("interrupted", attempt=1))
    return run_dir


def test_a_run_whose_data_is_gone_says_which_file_is_missing(write_config: WriteConfig, data: Path) -> None:
    run_dir = interrupted(write_config(data=data))
    data.rename("elsewhere")
    with pytest.raises(InputError) as refused:
        plan_again(run_dir)
    assert [str(problem).partition("; put it back")[0] for problem in refused.value.problems] == [
        f"{run_dir.config}: TrainDataset.anno_path: the annotation file {data}/train.json is missing",
        f"{run_dir.config}: EvalDataset.anno_path: the annotation file {data}/val.json is missing",
    ]


def test_a_run_goes_on_with_the_same_data_in_another_place(write_config: WriteConfig, data: Path, tmp_path: Path) -> None:
    run_dir = interrupted(config := write_config(data=data))
    data.rename(there := tmp_path / "elsewhere")
    sections = [f"TrainDataset.dataset_dir={there}", f"EvalDataset.dataset_dir={there}"]
    for run in (plan_again(run_dir, None, sections), plan_again(run_dir, write_config("moved.yml", data=there))):
        assert run.resolved is not None and run.resolved.config.train_dataset.dataset_dir == str(there)
        assert any("its data has moved, unchanged" in note for note in run.resolved.notes)
    prepare_run_dir(run)
    assert str(there) in run_dir.config.read_text() and plan_again(run_dir).identity == run.identity
    (there / "train.json").write_text((there / "train.json").read_text() + " ")
    with pytest.raises(InputError, match="not what this run began with"):
        plan_again(run_dir)
    assert config.exists()


def test_a_run_goes_on_with_the_prepared_set_of_its_name(
    write_config: WriteConfig, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "mine.yml"
    monkeypatch.setenv("RUNNER_DATA", str(tmp_path / "data"))
    (data / "annotations").mkdir()
    for side in ("train", "val"):
        (data / f"{side}.json").rename(data / "annotations" / f"{side}.json")
    spec.write_text("{name: mine, format: coco}")
    prepare(str(spec), data, tmp_path / "data")
    config = write_config(dataset=str(spec), TrainDataset=None, EvalDataset=None, num_classes="auto")
    run_dir = interrupted(config)
    (tmp_path / "data").rename(tmp_path / "data2")
    with pytest.raises(InputError, match=r"the annotation file .*data/mine/annotations/train.json is missing"):
        plan_again(run_dir)
    monkeypatch.setenv("RUNNER_DATA", str(tmp_path / "data2"))
    run = plan_again(run_dir)
    assert run.resolved is not None and run.resolved.config.eval_dataset.dataset_dir == str(tmp_path / "data2" / "mine")
    (tmp_path / "data").symlink_to("data2")  # where it was, and also where RUNNER_DATA is
    assert str(tmp_path / "data" / "mine") in plan_again(run_dir).resolved.yaml


def test_facts_are_for_people(write_config: WriteConfig) -> None:
    facts = plan_single(resolve(write_config()), RunDir("r")).identity.facts
    assert {"created", "command", "host", "python", "packages"} <= set(facts) and facts["packages"]["torch"]
    assert str(facts["config_file"]).endswith("tiny.yml")


# --------------------------------------------------------------------------------------------------------------- sweep
def write_sweep(config: Path, **keys: Any) -> Path:
    path = config.with_name("try it.yml")
    path.write_text(yaml.safe_dump({"config": config.name, **keys}, sort_keys=False))
    return path


def planned(path: Path, folder: Path = Path("runs/s"), overrides: Sequence[str] = ()) -> list[PlannedRun]:
    sweep = plan_sweep(SweepRequest(path, tuple(overrides), folder=folder))
    sweep.plan.all_runs(sweep.trials)
    return [run for trial in sweep.trials for run in sweep.plan.runs(trial)]


def test_a_sweep_is_planned_whole(write_config: WriteConfig) -> None:
    path = write_sweep(
        write_config(), vary={"TrainReader.batch_size": [2, 4], "max_iters": {"label": "schedule", "values": [8]}}, seeds=[0, 1]
    )
    runs = planned(path)
    assert [run.run_dir.name for run in runs] == [
        "0000-baseline-s0",
        "0000-baseline-s1",
        "0001-batch_size=4-s0",
        "0001-batch_size=4-s1",
        "0002-schedule=8-s0",
        "0002-schedule=8-s1",
    ]
    assert {run.run_dir.path.parent for run in runs} == {Path("runs/s/runs")} and not Path("runs").exists()
    assert [run.resolved.config.train_reader.batch_size for run in runs] == [2, 2, 4, 4, 2, 2]
    assert [(run.seed, run.resolved.config.seed) for run in runs] == [(0, 0), (1, 1)] * 3
    assert len({run.identity.key for run in runs}) == 6 and {run.identity.sweep for run in runs} == {"s"}


@pytest.mark.parametrize("name", ["bbox/APP", "AP", "bbox/AP@0.33"])
def test_a_metric_that_no_evaluation_has_is_refused_before_the_training(write_config: WriteConfig, name: str) -> None:
    path = write_sweep(write_config(), vary={"max_iters": [8]}, metric={"name": name})
    with pytest.raises(InputError, match="no evaluation has") as refused:
        planned(path)
    assert refused.value.problems[0].key == "metric.name" and refused.value.problems[0].where == str(path)
    assert planned(path, overrides=["eval_iou_thresholds=[0.33]"]) if name.endswith("0.33") else True


def test_a_numerics_version_counts_in_the_key(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_key(resolve(write_config()))
    monkeypatch.setattr("runner.evaluation.NUMERICS_VERSION", 2)
    assert run_key(resolve(write_config())) != before


def test_a_key_that_was_added_later_counts_where_it_is_set(write_config: WriteConfig) -> None:
    """A run that was made before there was the key stays the same run."""
    plain, default = resolve(write_config()), resolve(write_config("other.yml", initial_distance=0))
    assert "initial_distance" not in result_affecting(plain.config) and run_key(plain) == run_key(default)
    changed = resolve(write_config("third.yml", initial_distance=1))
    assert run_key(changed) != run_key(plain) and result_affecting(changed.config)["initial_distance"] == 1
    assert plain.plain["initial_distance"] == 0


def test_trial_keys_are_those_of_the_run_key_without_the_seed(write_config: WriteConfig, data: Path) -> None:
    config = {"TrainDataset.dataset_dir": str(data), "EvalDataset.dataset_dir": str(data)}
    resolved = resolve(write_config(), values=config)
    keys = plan_single(resolved, RunDir("a")).identity.trial_keys or []
    leaves = dict(flatten(resolved.plain))
    below = {leaf for leaf in leaves for key in keys if f"{leaf}.".startswith(f"{key}.")}
    counted = dict(flatten(result_affecting(resolved.config)))
    assert below == counted.keys() - {"seed"} and len(keys) < 0.6 * len(below)
    assert not {"seed", "log_iter", "TestReader", "initial_distance", "TrainDataset.dataset_dir"} & set(keys)
    changed = resolve(write_config("other.yml", initial_distance=1), values=config)
    assert set(trial_keys(changed)) - set(keys) == {"initial_distance"}


def test_without_known_content_the_place_of_the_data_identifies_a_trial(write_config: WriteConfig, data: Path) -> None:
    resolved = resolve(write_config(), values={"TrainDataset.dataset_dir": str(data), "EvalDataset.dataset_dir": str(data)})
    before = set(trial_keys(resolved))
    shutil.rmtree(data)
    assert set(trial_keys(resolved)) - before == {
        f"{section}.{key}" for section in ("TrainDataset", "EvalDataset") for key in ("dataset_dir", "image_dir", "anno_path")
    }


def keys_of(config: Any) -> list[str]:
    return affecting_keys(config, to_plain(canonical(config)))


def test_keys_of_other_backends_identify_a_trial_as_they_count_in_its_key() -> None:
    """Without their frameworks: the declaration alone decides."""
    data = COCODataSet()
    paddle = keys_of(PaddleConfig(architecture="FCOS", train_dataset=data, eval_dataset=data))
    assert "find_unused_parameters" in paddle and not {"log_iter", "worker_num", "TestDataset", "initial_distance"} & set(paddle)
    assert not any(key.startswith("TrainDataset.dataset_dir") for key in paddle) and "TrainDataset.data_fields" in paddle
    fake = keys_of(FakeConfig())
    assert {"parameters", "metrics", "faults", "max_iters"} <= set(fake) and not {"step_s", "startup_s", "use_gpu"} & set(fake)


def test_overrides_hold_for_the_baseline_too(write_config: WriteConfig) -> None:
    path = write_sweep(write_config(), vary={"max_iters": [8]}, overrides={"LearningRate.base_lr": 0.5, "TrainReader.batch_size": 1})
    runs = planned(path, overrides=["TrainReader.shuffle=false"])
    assert [run.resolved.config.learning_rate.base_lr for run in runs] == [0.5, 0.5]
    assert [run.resolved.config.train_reader.shuffle for run in runs] == [False, False]


def test_the_command_line_has_the_last_word_on_overrides(write_config: WriteConfig) -> None:
    path = write_sweep(write_config(), vary={"max_iters": [8]}, overrides={"LearningRate": {"base_lr": 0.5}, "TrainReader.batch_size": 1})
    runs = planned(path, overrides=["LearningRate.base_lr=0.25", "TrainReader.batch_size=3"])
    assert [run.resolved.config.learning_rate.base_lr for run in runs] == [0.25, 0.25]
    assert [run.resolved.config.train_reader.batch_size for run in runs] == [3, 3]


EXCLUDE = "exclude each other; remove one"


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ({"design": "grid", "vary": {"max_iters": [8, 9], "epoch": [1]}}, "max_iters", EXCLUDE),
        ({"design": "zip", "vary": {"epoch": [1, 2], "max_iters": [8, 9]}}, "epoch", EXCLUDE),
        ({"design": "list", "trials": [{"epoch": 1}, {"max_iters": 9, "epoch": 1}]}, "max_iters", EXCLUDE),
        ({"vary": {"epoch": [2]}, "derive": {"max_iters": "epoch * 3"}}, "epoch", EXCLUDE),
        ({"vary": {"seed_": [1]}, "overrides": {"epoch": 2, "max_iters": 3}}, "overrides.epoch", EXCLUDE),
        ({"vary": {"snapshot_epoch": [2]}, "derive": {"snapshot_iter": "snapshot_epoch * 5"}}, "snapshot_epoch", EXCLUDE),
        (
            {"design": "grid", "vary": {"FCOS.backbone": ["MobileNetV3"], "ResNet.depth": [34]}},
            "ResNet.depth",
            "34 has no effect in this trial: the resolved config has no such key; remove it",
        ),
        (
            {"overrides": {"LearningRate.schedulers.1.epochs": 1}, "vary": {"LearningRate.schedulers.1.steps": [3]}},
            "LearningRate.schedulers.1.steps",
            "3 has no effect in this trial: LearningRate.schedulers.1.epochs (1) takes precedence; remove it",
        ),
    ],
)
def test_a_trial_has_what_it_is_named_after(write_config: WriteConfig, keys: dict[str, Any], key: str, says: str) -> None:
    changes = {"FCOS": {"backbone": "ResNet", "neck": "FPN", "fcos_head": "FCOSHead"}, "MobileNetV3": {"feature_maps": [3, 6]}}
    path = write_sweep(write_config(**changes), **keys)
    with pytest.raises(InputError) as refused:
        planned(path)
    found = {problem.key: problem for problem in refused.value.problems}
    assert says in found[key].message and str(path) in found[key].where, refused.value


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"combine_best": True, "vary": {"max_iters": [8], "epoch": [1]}}, "vary.max_iters"),
        ({"combine_best": True, "vary": {"seed_": [1], "epoch": [1]}, "derive": {"max_iters": "epoch * 2"}}, "vary.epoch"),
        (
            {"design": "optuna", "space": {"max_iters": {"low": 5, "high": 10}, "epoch": [None, 1, 2]}, "budget": {"runs": 9}},
            "space.max_iters",
        ),
        ({"design": "optuna", "space": {"epoch": [1, 2]}, "derive": {"max_iters": "epoch * 2"}, "budget": {"runs": 9}}, "space.epoch"),
    ],
)
def test_alternatives_that_could_only_meet_later_are_refused_at_once(write_config: WriteConfig, keys: dict[str, Any], key: str) -> None:
    path = write_sweep(write_config(), **keys)
    with pytest.raises(InputError, match=EXCLUDE) as refused:
        load_sweep(path)
    assert [problem.key for problem in refused.value.problems] == [key] and f"{path}:" in refused.value.problems[0].where


def test_alternatives_that_never_meet_are_fine(write_config: WriteConfig) -> None:
    iterations = {"low": 5, "high": 10, "when": "unit == iterations"}
    space = {"unit": ["iterations", "epochs"], "max_iters": iterations, "epoch": {"choices": [1, 2], "when": "unit == epochs"}}
    load_sweep(write_sweep(write_config(), design="optuna", space=space, budget={"runs": 9}))
    runs = planned(write_sweep(write_config(), vary={"max_iters": [8], "epoch": [1]}))
    assert [(run.resolved.config.max_iters, run.resolved.config.epoch) for run in runs] == [(4, None), (8, None), (None, 1)]
    runs = planned(write_sweep(write_config(), design="list", trials=[{"epoch": 1, "max_iters": None}]))
    assert (runs[1].resolved.config.max_iters, runs[1].resolved.config.epoch) == (None, 1)
    (baseline, longer) = planned(write_sweep(write_config(), overrides={"max_iters": 6}, vary={"epoch": [2]}))
    assert (baseline.resolved.config.max_iters, longer.resolved.config.max_iters, longer.resolved.config.epoch) == (6, None, 2)


def test_the_command_line_has_the_last_word_on_alternatives_too(write_config: WriteConfig, coco: Path) -> None:
    path = write_sweep(write_config(), vary={"TrainReader.batch_size": [4]}, overrides={"max_iters": 6, "TrainDataset.dataset_dir": "x"})
    runs = planned(path, overrides=["epoch=2", f"TrainDataset.dataset_dir={coco}"])
    assert [(run.resolved.config.max_iters, run.resolved.config.epoch) for run in runs] == [(None, 2)] * 2


@pytest.mark.parametrize(
    "vary",
    [
        {"TrainReader.sample_transforms.2": [{"Resize": {"target_size": 32, "keep_ratio": False}}]},
        {"TrainReader.sample_transforms.2": [{"name": "Resize", "target_size": 32, "keep_ratio": False}]},
        {"OptimizerBuilder.optimizer": [{"type": "AdamW"}]},
        {"LearningRate.schedulers.0": [{"name": "CosineDecay"}]},
        {"FCOS.backbone": [{"name": "ResNet", "depth": 34, "freeze_at": -1, "num_stages": 2, "return_idx": [0, 1]}]},
        {"TrainReader.batch_size": [4.0]},
        {"OptimizerBuilder.clip_grad_by_norm": [1]},
    ],
)
def test_a_value_may_be_written_in_another_way(write_config: WriteConfig, vary: dict[str, Any]) -> None:
    assert len(planned(write_sweep(write_config(), vary=vary))) == 2


TRAIN_SIZE, EVAL_SIZE = "TrainReader.sample_transforms.2.Resize.target_size", "EvalReader.sample_transforms.1.Resize.target_size"
TO_THE_END = {"base_lr": 0.01, "schedulers": [{"name": "CosineDecay", "use_warmup": False}]}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            {"vary": {TRAIN_SIZE: [32, 48]}},
            f"32×32 in training, 48×48 in evaluation (trial target_size=32)|derive: {{{EVAL_SIZE}: {TRAIN_SIZE}}}",
        ),
        ({"design": "optuna", "space": {TRAIN_SIZE: [32, 48]}, "budget": {"runs": 3}}, f"derive: {{{EVAL_SIZE}: {TRAIN_SIZE}}}"),
        ({"design": "grid", "vary": {TRAIN_SIZE: [32], EVAL_SIZE: [32, 48]}}, "32×32 in training, 48×48 in evaluation"),
        ({"vary": {TRAIN_SIZE: [32]}, "derive": {EVAL_SIZE: TRAIN_SIZE}}, ""),
        ({"design": "zip", "vary": {TRAIN_SIZE: [32], EVAL_SIZE: [32]}}, ""),
        ({"vary": {"epoch": [3]}}, "trial epoch=3: LearningRate.schedulers.0: the cosine takes 6000 iterations = 1000 epochs of 12 images"),
        ({"vary": {"max_iters": [8]}}, ""),
    ],
)
def test_a_sweep_warns_of_what_its_evaluation_does_not_share(write_config: WriteConfig, keys: dict[str, Any], says: str) -> None:
    path = write_sweep(write_config(LearningRate=TO_THE_END), **keys)
    warnings = plan_sweep(SweepRequest(path, folder=Path("runs/s"))).warnings
    assert all(any(part in text for text in warnings) for part in says.split("|")) if says else warnings == [], warnings


def test_two_trials_that_are_one_run_are_refused_by_name(write_config: WriteConfig) -> None:
    path = write_sweep(write_config(), vary={"worker_num": [1, 2], "max_iters": [8]}, seeds=[0, 1])
    with pytest.raises(InputError) as refused:
        planned(path)
    assert [problem.message.partition(":")[0] for problem in refused.value.problems] == [
        "0000-baseline-s0 and 0001-worker_num=1-s0 are the same run",
        "0000-baseline-s0 and 0002-worker_num=2-s0 are the same run",
    ]


def write_search(folder: Path, **keys: Any) -> Path:
    config = folder / "fake.yml"
    config.write_text("{backend: fake, max_iters: 10, snapshot_iter: 5, parameters: {lr: 0.02}}")
    space = {"max_iters": {"low": 5, "high": 10}}
    return write_sweep(config, design="optuna", budget={"runs": 5}, **{"space": space, **keys})


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        (
            {"constraints": ["resource/memry_gib <= 8"]},
            "constraints.0",
            "'resource/memry_gib'; did you mean 'resource/memory_gib'",
        ),
        (
            {"constraints": ["resource/gpu_memory_gb <= 8"]},
            "constraints.0",
            "'resource/gpu_memory_gb'; it is now called 'resource/gpu_memory_gib', in GiB (2**30 bytes)",
        ),
        ({"metric": {"name": "resource/memory_gb"}}, "metric.name", "it is now called 'resource/memory_gib'"),
        ({"sampler": "TPESamplr"}, "sampler.name", "did you mean 'TPESampler'"),
        ({"sampler": "GridSampler", "space": {"parameters.lr": {"low": 0.1, "high": 0.2}}}, "space", "give a step"),
        ({"space": {"max_itres": [3]}}, "max_itres", "did you mean 'max_iters'"),
        ({"space": {"max_iters": [5, 6], "log_iter": {"low": -5, "high": -3, "when": "max_iters == 6"}}}, "log_iter", "at least 1"),
    ],
)
def test_a_search_is_checked_before_it_starts(tmp_path: Path, keys: dict[str, Any], key: str, says: str) -> None:
    path = write_search(tmp_path, **keys)
    with pytest.raises(InputError) as refused:
        plan_sweep(SweepRequest(path, folder=Path("runs/s")))
    assert refused.value.problems[0].key == key and says in refused.value.problems[0].message
    assert str(path) in refused.value.problems[0].where and not Path("runs").exists()


def test_what_the_config_refuses_of_a_space_is_warned_of(tmp_path: Path) -> None:
    path = write_search(tmp_path, space={"max_iters": {"low": -5, "high": 10}})
    (warning,) = plan_sweep(SweepRequest(path, folder=Path("runs/s"))).warnings
    assert warning.startswith("space.max_iters contains values that are refused") and "max_iters=-5" in warning


def test_resources_set_the_threads(write_config: WriteConfig) -> None:
    config = write_config(cpu_threads="auto")
    assert planned(write_sweep(config, vary={"max_iters": [8]}, resources={"cpus": 3}))[0].resolved.config.cpu_threads == 3


def test_everything_wrong_in_any_trial_is_told_once(write_config: WriteConfig) -> None:
    path = write_sweep(write_config(), vary={"TrainReader.batch_size": [-1, 4], "max_itres": [3], "ResNet.depth": [20]}, seeds=[0, 1])
    with pytest.raises(InputError) as error:
        planned(path)
    messages = [str(problem) for problem in error.value.problems]
    assert len(messages) == 3, messages
    assert any("TrainReader.batch_size: expected an integer" in one and "trial" in one and "batch_size=-1" in one for one in messages)
    assert any("did you mean 'max_iters'" in one for one in messages) and any("ResNet.depth" in one for one in messages)


def test_runs_that_exist_keep_their_place(write_config: WriteConfig) -> None:
    config = write_config()
    for run in planned(write_sweep(config, vary={"max_iters": [8, 9]}, seeds=[0])):
        prepare_run_dir(run)
    wider = planned(write_sweep(config, vary={"max_iters": [7, 9, 8]}, seeds=[0, 1]))
    assert [run.run_dir.name for run in wider] == [
        "0000-baseline-s0",
        "0000-baseline-s1",
        "0003-max_iters=7-s0",
        "0003-max_iters=7-s1",
        "0002-max_iters=9-s0",
        "0002-max_iters=9-s1",
        "0001-max_iters=8-s0",
        "0001-max_iters=8-s1",
    ]
    assert [run.run_dir.exists() for run in wider] == [True, False, False, False, True, False, True, False]


def test_a_run_is_known_by_its_key_and_not_by_its_name(write_config: WriteConfig) -> None:
    path = write_sweep(write_config(), vary={"max_iters": [8]})
    for run in planned(path):
        prepare_run_dir(run)
    Path("runs/s/runs/0001-max_iters=8-s0").rename("runs/s/runs/my best")
    assert [run.run_dir.name for run in planned(path)] == ["0000-baseline-s0", "my best"]


def test_another_baseline_is_other_runs(write_config: WriteConfig) -> None:
    path = write_sweep(write_config(), vary={"max_iters": [8]})
    first = planned(path)
    for run in first:
        prepare_run_dir(run)
    others = planned(path, overrides=["LearningRate.base_lr=0.5"])
    assert not {run.identity.key for run in first} & {run.identity.key for run in others}
    with pytest.raises(InputError, match="holds another run"):
        prepare_run_dir(others[0])
    sweep = plan_sweep(SweepRequest(path, ("LearningRate.base_lr=0.5",), folder=Path("runs/s")))
    with pytest.raises(InputError, match=r"2 runs of another config \(LearningRate.base_lr differ in 0000-baseline-s0\)"):
        sweep.entries()


@pytest.mark.parametrize(
    ("done", "numbers"),
    [
        ([], [0, 1, 2]),
        ([(0, {}), (1, {"a": 1}), (2, {"a": 2})], [0, 1, 2]),
        ([(0, {}), (1, {"a": 2}), (2, {"a": 1})], [0, 2, 1]),
        ([(0, {}), (1, {"b": 5})], [0, 2, 3]),
        ([(0, {}), (5, {"a": 1.0})], [0, 5, 2]),
    ],
)
def test_renumber(done: list[tuple[int, dict[str, Any]]], numbers: list[int]) -> None:
    trials = [Trial(0, {}, "baseline"), Trial(1, {"a": 1}, "a=1"), Trial(2, {"a": 2}, "a=2")]
    found = [trial.number for trial in renumber(trials, dict(done))]
    assert found == numbers and len(set(found)) == 3


def test_finished_runs_stay_finished_when_only_trackers_change(write_config: WriteConfig) -> None:
    path = write_sweep(write_config(), vary={"max_iters": [8]})
    for run in planned(path):
        prepare_run_dir(run)
        run.run_dir.write_status(Status("done", attempt=1))
    again = planned(path, overrides=["trackers=[tensorboard]", "worker_num=1"])
    for run in again:
        prepare_run_dir(run)
    assert {run.run_dir.status().state for run in again} == {"done"}


# ------------------------------------------------------------------------------------------------- what comes with it
SWEEPS = sorted(path.name for path in (ROOT / "sweeps").glob("*.yml"))


def test_there_are_sweeps() -> None:
    assert {"batchsize.yml", "pcb_article.yml"} <= set(SWEEPS)


@pytest.mark.parametrize("name", SWEEPS)
def test_every_shipped_sweep_plans(name: str, coco: Path) -> None:
    path = ROOT / "sweeps" / name
    spec: SweepSpec = load_sweep(path)
    data = f'{{name: COCODataSet, dataset_dir: "{coco}", image_dir: images, anno_path: train.json, repeat: 8}}'
    stubs = [
        "dataset=null",
        f"TrainDataset={data}",
        f"EvalDataset={data}",
        "num_classes=2",
        "use_gpu=false",
        "TestDataset=null",
        "pretrain_weights=null",
    ]
    runs = planned(path, Path("runs") / path.stem, stubs)
    trials = {run.trial.number for run in runs}
    assert len(runs) == len(trials) * len(spec.seeds) and len(spec.seeds) >= 2
    if name in ("batchsize.yml", "pcb_article.yml"):  # baseline, batch doubled, iterations doubled
        baseline, batch, longer = (next(run.resolved.config for run in runs if run.trial.number == number) for number in range(3))
        assert (batch.train_reader.batch_size, batch.max_iters) == (2 * baseline.train_reader.batch_size, baseline.max_iters)
        assert (longer.train_reader.batch_size, longer.max_iters) == (baseline.train_reader.batch_size, 2 * baseline.max_iters)
