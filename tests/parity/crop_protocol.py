"""The test protocol of BAS and PSOL: the central 224 of 256 x 256, accuracies by class."""
import numpy as np
import torch


def box_in_crop(box, size):
    """A box x0, y0, x1, y1 of an image of (width, height) in the crop, cut at its borders."""
    x0, y0, x1, y1 = np.asarray(box) * 256 / np.array([*size, *size]) - 16
    return np.array([max(x0, 0), max(y0, 0), min(x1, 224), min(y1, 224)])


def class_hits(items, key):
    """Whether the label is the best class, and whether among the best five, by mean softmax."""
    hits = []
    for item in items:
        scores = torch.from_numpy(np.atleast_2d(item[key])).softmax(dim=1).mean(dim=0)
        best = scores.topk(5).indices.tolist()
        hits.append((best[0] == item['label'], item['label'] in best))
    return np.array(hits).T


def accuracies(hits, items):
    """The mean over classes of each class's share of hits, and the share over images."""
    labels = np.array([item['label'] for item in items])
    by_class = [[hit[labels == label].mean() for label in np.unique(labels)] for hit in hits]
    return np.mean(by_class, axis=1), np.mean(hits, axis=1)
