"""The engine alone: images and a PyTorch network, cached and recorded like everything else.

A step is a function; its arguments name the steps whose results it takes, or are parameters with defaults.
Run it with: penstock run examples/digits/digits.py  (needs the package torch)
"""

from __future__ import annotations

import numpy as np

import penstock as ps


@ps.step
def images() -> dict[str, np.ndarray]:
    """1,797 handwritten digits of 8 x 8 pixels, and what they show."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return {"pixels": (digits.images / 16.0).astype(np.float32), "labels": digits.target.astype(np.int64)}


@ps.step
def parts(images: dict[str, np.ndarray], test: float = 0.25, seed: int = 0) -> dict[str, np.ndarray]:
    """Which images are kept from training."""
    chosen = np.random.default_rng(seed).random(len(images["labels"])) < test
    return {"test": chosen}


def network(width: int):
    """Two convolutions and a readout."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * width * 16, 10),
    )  # fmt: skip


@ps.step
def weights(
    images: dict[str, np.ndarray],
    parts: dict[str, np.ndarray],
    width: int = 8,
    epochs: int = 15,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Train the network; what is kept are its weights as arrays, not a pickle."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    learn = ~parts["test"]
    x, y = (
        torch.from_numpy(images["pixels"][learn][:, None].copy()),
        torch.from_numpy(images["labels"][learn].copy()),
    )
    net = network(width)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for epoch in range(epochs):
        for rows in torch.randperm(len(y)).split(64):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimiser.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}")
    return {name: value.numpy() for name, value in net.state_dict().items()}


@ps.step
def accuracy(
    images: dict[str, np.ndarray],
    parts: dict[str, np.ndarray],
    weights: dict[str, np.ndarray],
    width: int = 8,
) -> float:
    """Share of unseen images that are read rightly."""
    import torch

    net = network(width)
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    with torch.no_grad():
        said = net(torch.from_numpy(images["pixels"][parts["test"]][:, None].copy())).argmax(1).numpy()
    return float((said == images["labels"][parts["test"]]).mean())
