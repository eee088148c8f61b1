"""torch in warm processes, with loader processes of its own."""

import sys
from pathlib import Path

import pytest
from support.warm import assert_same_bits

from runner.launch.base import Warm

PROGRAM = """
import torch, torchvision

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        torch.manual_seed(index)
        return torch.rand(3, 48, 48), index

torch.set_num_threads(2)
torch.manual_seed(0)
model = torchvision.models.resnet18(weights=None)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for images, labels in torch.utils.data.DataLoader(Data(), batch_size=4, num_workers=2):
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
    optimizer.zero_grad()
bits = b"".join(value.detach().numpy().tobytes() for value in model.state_dict().values())
"""


@pytest.mark.slow
@pytest.mark.parametrize("ways", [("fork", "fork"), pytest.param(("standby",), marks=pytest.mark.exhaustive)], ids=["fork", "standby"])
def test_a_warm_process_trains_to_the_same_bits(tmp_path: Path, ways: tuple[Warm, ...]) -> None:
    assert_same_bits(tmp_path, Path(sys.executable), PROGRAM, "runner.backends.torch.preload", ways)
