"""The control: a plain PyTorch loop that knows nothing of budgets."""

import copy

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from pocketcnn.pipeline.recipes import Splits
from pocketcnn.training import evaluate

EPOCHS, BATCH, RATE = 30, 16, 0.003


def control(network: nn.Module, sets: Splits, seed: int) -> nn.Module:
    """`network`, trained by AdamW at a constant learning rate; the weights of the best epoch on the validation images."""
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    loader = DataLoader(sets.train, BATCH, shuffle=True, drop_last=True)
    best, weights = -1.0, network.state_dict()
    for _ in range(EPOCHS):
        network.train()
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
        network.eval()
        accuracy = evaluate(network, sets.val).top1
        if accuracy > best:
            best, weights = accuracy, copy.deepcopy(network.state_dict())
    network.load_state_dict(weights)
    return network
