"""Keys that are looked for in vain: those of other trainers, and those of features that this program does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_EARLY_STOPPING: Final = (
    "the key is early_stop, at the top level: {metric: bbox/AP, patience: 5, min_delta: 0.001}, with eval_at_snapshot: true; the last"
    " checkpoint is compared, and `runner eval RUN --checkpoint best` evaluates the best"
)
_CLASS_WEIGHTS: Final = (
    "classes cannot be weighted: to show rare ones more often, give TrainReader.sampler={type: class_balanced, oversample_thresh: 0.1}"
    " (backend torch), or list their images several times in the training annotations (COCO JSON, each entry with an id of its own);"
    " `runner eval RUN` prints the AP of each class"
)
_ONE_PROCESS: Final = (
    "a run trains in one process, and on one GPU (only the backend paddle has `processes`); the runs of a sweep train side by side, one per"
    " GPU (`resources` of the sweep file)"
)

ABSENT_KEYS: Final[Mapping[str, str]] = {
    # features that do not exist, in any section
    r".+\.early_?stop\w*|early_?stop(p\w*|er)|earlystop|(?!early_stop\.)(.+\.)?patience": _EARLY_STOPPING,
    r"(.*\.)?((cls|class|classes|category|label)_?(weights?|balanc\w*)|over_?sampl\w*|balanced?\w*)": _CLASS_WEIGHTS,
    r"(?!TrainReader\.)(.+\.)?sampler": _CLASS_WEIGHTS,
    r"processes|(num_)?gpus|devices|gpu_ids?|nproc\w*|world_size": _ONE_PROCESS,
    # what has another name here, at the top level
    r"device|cuda": "use_gpu (true, false or auto) chooses between the GPU and the CPU",
    r"batch(_?size)?|bs": "the key is TrainReader.batch_size",
    r"lr0?|base_lr": "the key is LearningRate.base_lr",
    r"weight_decay|wd": "the key is OptimizerBuilder.regularizer.factor",
    r"optimi[sz]er": "the key is OptimizerBuilder.optimizer, such as OptimizerBuilder.optimizer.type=AdamW",
    r"momentum": "the key is OptimizerBuilder.optimizer.momentum",
    r"(max_|num_)?(steps|iterations|iter)": "the key is max_iters",
    r"img_?sz|img_?size|input_size": "the key is image_size",
    r"(num_)?workers": "the key is worker_num",
    r"augment\w*|transforms": "the key is TrainReader.sample_transforms, a list of transforms",
    r"pretrained\w*|init_weights": "the key is pretrain_weights",
}
"""Pattern of the whole dotted key to what to do instead; see `runner.config.bind.instead_of`."""

EVERY_KEY: Final = "`runner config show -c FILE` prints every key"
