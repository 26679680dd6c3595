"""Trains NanoGPT, the package's own small language model of numbers, on synthetic series.

    python scripts/train_nanogpt.py --minutes 80 --output tsformer/weights/nanogpt

Interrupt it when you like: the same command goes on from the checkpoint beside the output.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import torch
from safetensors.torch import save_file

from tsformer.models.gpt import GPT, GPTSettings
from tsformer.models.numbers import NumberVocabulary
from tsformer.training.language import LanguageSettings, train_language
from tsformer.training.synthetic import SyntheticTokens


def main() -> None:
    """Train, then write weights in 16 bits and the sizes of the network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=80, help="of training, in all")
    parser.add_argument("--output", type=Path, required=True, help="file name without ending")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--matrix-learning-rate", type=float, default=3e-3)
    parser.add_argument("--compile", action="store_true", help="needs a C++ compiler; faster")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    vocabulary = NumberVocabulary()
    settings = GPTSettings(vocabulary_size=vocabulary.size)
    torch.manual_seed(given.seed)
    model = GPT(settings)
    generator = torch.Generator().manual_seed(given.seed + 1)
    with torch.no_grad():
        features = vocabulary.smooth_features(settings.d_model, generator)
        model.embedding.weight[: vocabulary.n_bins] = 0.02 * features
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{n_parameters:,} parameters, vocabulary of {vocabulary.size}")

    held_out = SyntheticTokens(vocabulary=vocabulary, generator=torch.Generator().manual_seed(999))
    # a checkpoint does not hold the generator: a later piece draws series that were not seen yet
    checkpoint = given.output.with_suffix(".checkpoint")
    if checkpoint.exists():
        generator.manual_seed(given.seed + int(checkpoint.stat().st_mtime))
    train_language(
        model,
        SyntheticTokens(vocabulary=vocabulary, generator=generator),
        judged=[held_out.draw(48, 128), held_out.draw(24, 512)],
        settings=LanguageSettings(
            minutes=given.minutes,
            learning_rate=given.learning_rate,
            matrix_learning_rate=given.matrix_learning_rate,
            compile=given.compile,
        ),
        checkpoint=checkpoint,
        notify=lambda line: print(line, flush=True),
    )
    weights = {name: tensor.half() for name, tensor in model.state_dict().items()}
    save_file(weights, given.output.with_suffix(".safetensors"))
    sizes = json.dumps(asdict(settings), indent=2)
    given.output.with_suffix(".json").write_text(sizes + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
