"""Birds on backgrounds: ``python docs/study/birds/make.py data/cub50 work_dirs/birds``.

Cuts birds out of CUB images (GrabCut from their boxes, at 160 pixels) and pastes each on a drawn
scene, at its own place. Each draw takes 20 classes in random order, in four groups of five that go
with a scene: sea, woods, reeds, sky. A training image has its group's scene with probability rho,
otherwise any of the four; held-out and test images have any. Writes a folder in CUB's layout, with
masks, for each draw and rho: draw_D/rho_R. ``--sheet FILE`` draws examples to look at.
"""
import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

SIZE = 160
CLASSES, GROUP = 20, 5
TRAIN, HELD_OUT, TEST = 15, 6, 12  # images of a class
LEAST, MOST = 0.02, 0.6  # share of the image that a bird may cover


def read(folder: Path) -> dict[str, list[tuple[str, bool, list[float]]]]:
    """Path, whether it is for training, and box of the images of each class."""
    tables = [dict(line.split(maxsplit=1) for line in (folder / f'{name}.txt').open())
              for name in ('images', 'train_test_split', 'bounding_boxes')]
    found = defaultdict(list)
    for key, path in tables[0].items():
        box = [float(value) for value in tables[2][key].split()]
        found[path.split('/')[0]].append((path.strip(), tables[1][key].strip() == '1', box))
    return found


def cut_out(image: np.ndarray, box: list[float]) -> np.ndarray:
    """The bird's mask (H, W), bool, by GrabCut from its box."""
    height, width = image.shape[:2]
    x0, y0 = (int(max(value, 1)) for value in box[:2])
    x1, y1 = int(min(box[0] + box[2], width - 2)), int(min(box[1] + box[3], height - 2))
    mask = np.zeros((height, width), np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(image, mask, (x0, y0, x1 - x0, y1 - y0), np.zeros((1, 65)), np.zeros((1, 65)), 2,
                cv2.GC_INIT_WITH_RECT)
    mask = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    return labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else mask > 0


def noise(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Smooth noise in [-1, 1] with that many knots, (SIZE, SIZE, 1)."""
    knots = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    return cv2.resize(knots, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)[..., None]


def sea(rng):
    """Sky above, water with waves below a horizon."""
    y = np.linspace(0, 1, SIZE)[:, None, None]
    horizon = rng.uniform(.3, .5)
    sky = np.array([235, 215, 190]) - 50 * (1 - y) + 8 * noise(rng, 4, 3)
    water = np.array([130, 95, 45]) + 40 * (y - .5) + 30 * noise(rng, 60, 8)
    return np.where(y < horizon, sky, water)


def woods(rng):
    """Dark leaves above, trunks from top to bottom, a brown floor below."""
    y = np.linspace(0, 1, SIZE)[:, None, None]
    image = np.array([35, 75, 45]) + 35 * noise(rng, 30, 30)
    image = np.where(y > rng.uniform(.75, .85), [40, 60, 85] + 25 * noise(rng, 40, 40), image)
    for _ in range(rng.integers(3, 7)):
        x, thick = rng.integers(SIZE), int(rng.integers(4, 12))
        shade = int(rng.integers(20, 60))
        image = np.ascontiguousarray(image, np.float32)
        cv2.line(image, (int(x), 0), (int(x + rng.integers(-10, 10)), SIZE),
                 (shade, shade + 12, shade + 25), thick)
    return image


def reeds(rng):
    """Stalks that rise from the lower border before a pale ground."""
    image = np.ascontiguousarray(np.array([150, 190, 195]) + 15 * noise(rng, 8, 8), np.float32)
    for _ in range(110):
        x, height = int(rng.integers(SIZE)), int(rng.integers(SIZE // 3, SIZE))
        shade = rng.uniform(.6, 1.2)
        cv2.line(image, (x, SIZE), (int(x + rng.integers(-25, 25)), SIZE - height),
                 tuple(float(c * shade) for c in (60, 140, 135)), int(rng.integers(1, 3)))
    return image


def sky(rng):
    """Blue, paler towards the lower border, with clouds in the upper half."""
    y = np.linspace(0, 1, SIZE)[:, None, None]
    clouds = np.clip(noise(rng, 5, 4) + .4 - y, 0, 1)
    blue = np.array([225, 165, 95]) + np.array([20, 60, 100]) * y
    return blue * (1 - clouds) + 250 * clouds


SCENES = sea, woods, reeds, sky


def compose(bird: np.ndarray, mask: np.ndarray, scene: int, rng) -> np.ndarray:
    """The bird on a scene, uint8."""
    back = SCENES[scene](rng) + rng.normal(0, 4, (SIZE, SIZE, 3))
    soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[..., None]
    return np.clip(bird * soft + back * (1 - soft), 0, 255).astype(np.uint8)


class Birds:
    """Birds squashed to SIZE x SIZE with their masks, cut out when asked for."""

    def __init__(self, folder: Path):
        self.folder, self.images, self._known = folder, read(folder), {}

    def __call__(self, path: str, box: list[float]) -> tuple[np.ndarray, np.ndarray]:
        if path not in self._known:
            image = cv2.imread(str(self.folder / 'images' / path))
            height, width = image.shape[:2]
            scale = np.array([SIZE / width, SIZE / height] * 2)
            small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            self._known[path] = small, cut_out(small, np.multiply(box, scale))
        return self._known[path]

    def usable(self, path: str, box: list[float]) -> bool:
        return LEAST < self(path, box)[1].mean() < MOST


def choose(birds: Birds, draw: int) -> list[tuple[str, list, list]]:
    """Class, training and test images of a draw, with those for validation among the former."""
    rng = np.random.default_rng([draw, 0])
    names = sorted(birds.images)
    chosen = []
    for index in rng.permutation(len(names)):
        parts = {True: [], False: []}
        for number in rng.permutation(len(birds.images[names[index]])):
            path, training, box = birds.images[names[index]][number]
            wanted = TRAIN + HELD_OUT if training else TEST
            if len(parts[training]) < wanted and birds.usable(path, box):
                parts[training].append((path, box))
        if len(parts[True]) == TRAIN + HELD_OUT and len(parts[False]) == TEST:
            chosen.append((names[index], parts[True], parts[False]))
        if len(chosen) == CLASSES:
            return chosen
    raise SystemExit(f'only {len(chosen)} classes have enough images')


def write(birds: Birds, chosen, draw: int, rho: float, folder: Path) -> None:
    """One training set with its held-out and test images, in CUB's layout."""
    lists = defaultdict(list)
    number = 0
    for label, (name, training, test) in enumerate(chosen):
        lists['classes'].append(f'{label + 1} {name}')
        for position, (path, box) in enumerate([*training, *test]):
            number += 1
            is_training = position < TRAIN + HELD_OUT
            # the same bird has the same draws for every rho
            rng = np.random.default_rng([draw, 1, label, position])
            u, any_scene = rng.random(), int(rng.integers(len(SCENES)))
            confounded = position < TRAIN and u < rho
            bird, mask = birds(path, box)
            image = compose(bird, mask, label // GROUP if confounded else any_scene, rng)
            for part, content, suffix in (('images', image, 'jpg'),
                                          ('segmentations', mask.astype(np.uint8) * 255, 'png')):
                file = folder / part / Path(path).with_suffix(f'.{suffix}')
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), content)  # JPEG at quality 95
            ys, xs = np.nonzero(mask)
            lists['images'].append(f'{number} {path}')
            lists['image_class_labels'].append(f'{number} {label + 1}')
            lists['train_test_split'].append(f'{number} {int(is_training)}')
            lists['bounding_boxes'].append(
                f'{number} {xs.min()} {ys.min()} {np.ptp(xs) + 1} {np.ptp(ys) + 1}')
    for name, lines in lists.items():
        (folder / f'{name}.txt').write_text('\n'.join(lines) + '\n')


def sheet(birds: Birds, path: Path) -> None:
    """Rows of birds: the image, the cut-out on each scene; spread over all classes."""
    rows = []
    for count, name in enumerate(sorted(birds.images)[::5]):
        file, _, box = birds.images[name][count]
        bird, mask = birds(file, box)
        rng = np.random.default_rng(count)
        rows.append(np.hstack([bird, *(compose(bird, mask, scene, rng) for scene in range(4))]))
    half = len(rows) // 2
    cv2.imwrite(str(path), np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('cub', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--draws', type=int, default=10)
    parser.add_argument('--rho', type=float, nargs='+', default=[0, 0.8, 0.95])
    parser.add_argument('--sheet', type=Path)
    args = parser.parse_args()
    birds = Birds(args.cub)
    if args.sheet:
        sheet(birds, args.sheet)
        return
    for draw in range(args.draws):
        chosen = choose(birds, draw)
        for rho in args.rho:
            write(birds, chosen, draw, rho, args.out / f'draw_{draw}' / f'rho_{rho:g}')
        print(f'draw {draw}: {", ".join(name for name, *_ in chosen)}', flush=True)


if __name__ == '__main__':
    main()
