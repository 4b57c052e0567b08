"""Trains `sosie-cast`, the encoder that comes with Sosie, on the fictional cast; about twenty minutes on two cores.

    python -m tools.train_bundled_encoder --steps 2000

The image tower learns to tell people apart (a margin softmax over the training identities, a contrastive loss
between shots, and the traits each was drawn from, read off the embedding linearly), the text tower learns the
captions (CLIP). Rendered shots are kept in `--cache` between runs. Writes the weights, the model's configuration and
the manifest into `--out`; the averaged weights are saved every `--save-every` steps.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from open_clip import CLIP
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file, save_file
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from monitor.cast.captions import caption
from monitor.cast.people import EYE_COLOURS, FRAME_COLOURS, HAIR_COLOURS, Beard, Brow, Glasses, Hair, Person, Shape
from tools.cast_shots import CROP_PX, SIDE_PX, Cached, damaged, identity, render

OUT = Path(__file__).parent.parent / "monitor" / "vision" / "bundled"
MODEL = "sosie-cast"
CONTEXT = 48
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 128,
        "vision_cfg": {"image_size": CROP_PX, "layers": [1, 2, 2, 1], "width": 16, "head_width": 64},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2},
    },
    "preprocess_cfg": {
        "size": CROP_PX,
        "mode": "RGB",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}
CAPTIONS_PER_PERSON = 8


def build() -> CLIP:
    """The untrained model."""
    return CLIP(**copy.deepcopy(CONFIG["model_cfg"]))


def to_tensor(images: torch.Tensor) -> torch.Tensor:
    """uint8 (n, h, w, 3) to what the image tower takes."""
    return ((images.permute(0, 3, 1, 2).float() / 255) - 0.5) / 0.5


class Shots(IterableDataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    """Endless batches: `pairs` people and their look-alikes, two damaged shots of each, and a caption for each shot."""

    def __init__(self, images: NDArray[np.uint8], boxes: NDArray[np.float32], tokens: torch.Tensor, *, pairs: int, seed: int) -> None:
        self.images, self.boxes, self.tokens, self.pairs, self.seed = images, boxes, tokens, pairs, seed

    def __iter__(self) -> Any:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        people, shots = self.boxes.shape[:2]
        while True:
            first = 2 * rng.choice(people // 2, self.pairs, replace=False)
            labels = np.repeat(np.concatenate([first, first + 1]), 2)
            chosen = [(int(label), int(rng.integers(shots))) for label in labels]
            batch = np.stack([damaged(Cached(self.images[i, k], self.boxes[i, k]), rng) for i, k in chosen])
            texts = self.tokens[labels, rng.integers(CAPTIONS_PER_PERSON, size=len(labels))]
            yield torch.from_numpy(batch), torch.from_numpy(labels), texts


def rendered(cache: Path, *, people: int, shots: int, base: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Every shot of every training identity, from the cache if it holds them."""
    cache.mkdir(parents=True, exist_ok=True)
    stem = f"{base}-{people}x{shots}"
    images_file, boxes_file = cache / f"{stem}-images.npy", cache / f"{stem}-boxes.npy"
    if not boxes_file.exists():
        images = np.lib.format.open_memmap(images_file, "w+", np.uint8, (people, shots, SIDE_PX, SIDE_PX, 3))
        boxes = np.zeros((people, shots, 4), np.float32)
        with ProcessPoolExecutor() as pool:
            for index, row in enumerate(pool.map(_render_all, range(people), [shots] * people, [base] * people, chunksize=16)):
                for k, shot in enumerate(row):
                    images[index, k], boxes[index, k] = shot.image, shot.box
        np.save(boxes_file, boxes)
    return np.load(images_file), np.load(boxes_file)


def _render_all(index: int, shots: int, base: int) -> list[Cached]:
    cv2.setNumThreads(1)
    rng = np.random.default_rng([base, index])
    who = identity(index, base=base)
    return [render(who, rng) for _ in range(shots)]


def losses(z: torch.Tensor, text: torch.Tensor, scale: torch.Tensor, labels: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """CosFace (arXiv 1801.09414) over all identities, supervised contrastive (2004.11362) within the batch, CLIP (2103.00020)."""
    cosine = z @ functional.normalize(centres, dim=1).T
    margin = functional.cross_entropy(24 * (cosine - 0.2 * functional.one_hot(labels, len(centres))), labels)
    same = labels[:, None] == labels[None]
    itself = torch.eye(len(z), dtype=torch.bool)
    log_share = torch.log_softmax((z @ z.T / 0.08).masked_fill(itself, -1e4), dim=1)
    positives = (same & ~itself).float()
    contrast = -(log_share * positives).sum(1).div(positives.sum(1)).mean()
    logits = scale.exp().clamp(max=60) * z @ text.T
    wanted = same.float() / same.sum(1, keepdim=True)
    clip = (functional.cross_entropy(logits, wanted) + functional.cross_entropy(logits.T, wanted)) / 2
    return margin + 0.5 * contrast + 0.3 * clip


def trait_rows(people: Sequence[Person]) -> torch.Tensor:
    """What the people were drawn from, as columns of mean 0 and variance 1."""
    choices: list[tuple[str, Sequence[str]]] = [
        ("hair", tuple(Hair)),
        ("hair_colour", tuple(HAIR_COLOURS)),
        ("brow", tuple(Brow)),
        ("beard", tuple(Beard)),
        ("glasses", tuple(Glasses)),
        ("frame_colour", tuple(FRAME_COLOURS)),
        ("eye_colour", tuple(EYE_COLOURS)),
    ]
    scalars = ("skin", "undertone", "age", "hair_shade", "eye_shade", "lipstick", "lashes", "earrings", "freckles")
    rows = [
        [getattr(who.shape, field.name) for field in fields(Shape)]
        + [float(getattr(who, name)) for name in scalars]
        + [float(getattr(who, name) == value) for name, values in choices for value in values]
        for who in people
    ]
    table = torch.tensor(rows)
    return (table - table.mean(0)) / table.std(0).clamp(min=0.05)


def save(model: CLIP, out: Path) -> None:
    """Weights in half precision, the configuration, and the manifest that names both."""
    out.mkdir(parents=True, exist_ok=True)
    weights = out / "sosie-cast.safetensors"
    tensors = {name: (value.half() if value.is_floating_point() else value).contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, weights)
    weights.chmod(0o644)
    (out / "sosie-cast.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    manifest = {"model": MODEL, "weights": weights.name, "sha256": digest, "config": "sosie-cast.json"}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


@torch.no_grad()
def first_centres(model: CLIP, images: NDArray[np.uint8], boxes: NDArray[np.float32]) -> torch.Tensor:
    """Where the margin softmax looks for each identity at first: at the embedding of one shot."""
    rng = np.random.default_rng(0)
    crops = np.stack([damaged(Cached(image, box), rng) for image, box in zip(images, boxes, strict=True)])
    return torch.cat([model.encode_image(to_tensor(part), normalize=True) for part in torch.split(torch.from_numpy(crops), 64)])


def train(arguments: argparse.Namespace) -> None:
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)  # before the workers are forked: OpenCV's own threads do not survive that, and the worker would hang
    images, boxes = rendered(arguments.cache, people=arguments.people, shots=arguments.shots, base=arguments.base)
    tokenizer = SimpleTokenizer(context_length=CONTEXT)
    rng = np.random.default_rng(arguments.seed)
    people = [identity(i, base=arguments.base) for i in range(arguments.people)]
    tokens = torch.stack([tokenizer([caption(who, rng) for _ in range(CAPTIONS_PER_PERSON)]) for who in people])

    model = build()
    if arguments.start:
        model.load_state_dict(load_file(arguments.start))
    model.visual.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    centres = torch.nn.Parameter(first_centres(average, images[:, 0], boxes[:, 0]))
    traits = trait_rows(people)
    readout = torch.nn.Linear(128, traits.shape[1])
    optimizer = torch.optim.AdamW(
        [{"params": model.parameters(), "weight_decay": 0.05}, {"params": [centres, *readout.parameters()], "weight_decay": 0.0}],
        lr=arguments.lr,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.lr, arguments.steps, pct_start=0.1)
    data = DataLoader(
        Shots(images, boxes, tokens, pairs=arguments.pairs, seed=arguments.seed),
        batch_size=None,
        num_workers=arguments.workers,
        prefetch_factor=8,
    )
    started, seen = time.monotonic(), np.zeros(2)
    for step, (batch, labels, texts) in enumerate(data, start=1):
        with torch.autocast("cpu", torch.bfloat16):
            z = model.encode_image(to_tensor(batch).contiguous(memory_format=torch.channels_last))
        z = functional.normalize(z.float(), dim=1)
        loss = losses(z, model.encode_text(texts, normalize=True), model.logit_scale, labels, centres)
        drawn = functional.mse_loss(readout(z * 128**0.5), traits[labels])
        loss = loss + arguments.trait_weight * drawn
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for kept, now in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
                if kept.is_floating_point():
                    kept.lerp_(now, 0.01 if step > 100 else 0.2)
        seen += np.array([loss.item(), drawn.item()])
        if step % 50 == 0:
            print(
                f"step {step}  loss {seen[0] / 50:.3f}  traits {seen[1] / 50:.3f}  {(time.monotonic() - started) / step:.2f} s/step",
                flush=True,
            )
            seen = np.zeros(2)
        if step % arguments.save_every == 0 or step == arguments.steps:
            save(average, arguments.out)
        if step == arguments.steps:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=4800, help="training identities, half of them look-alikes of the other half")
    parser.add_argument("--shots", type=int, default=10, help="rendered shots of each")
    parser.add_argument("--base", type=int, default=100_000, help="seed of the first identity")
    parser.add_argument("--pairs", type=int, default=16, help="look-alike pairs in a batch; four shots each")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--trait-weight", type=float, default=6.0, help="of reading the traits off the embedding")
    parser.add_argument("--start", type=Path, help="weights to start from instead of random ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="on shared cores, more than one is slower")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--save-every", type=int, default=250)
    parser.add_argument("--cache", type=Path, default=Path("build") / "cast-shots")
    parser.add_argument("--out", type=Path, default=OUT)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
