"""Entropy of the next token in texts without a prompt: their first ten tokens against later ones.

    python benchmarks/unprimed_entropy.py runs/a runs/b

A text that opens with noise has a higher entropy at its start. Printed for each language model, in bits a token, as
means over 400 texts at temperature 1:

- from a zero state: the first token, and the first ten,
- as `fastrnn sample` begins: the first ten,
- of the same texts: tokens 100 to 200; and the first ten of each line that begins among them.

A sample begins with a line, and lines may begin with more predictable tokens than they go on with, such as the
indentation of source code. The last ratio therefore compares like with like: 1 means that the first line of a sample
begins as its later ones do.
"""

import argparse

import numpy as np

from fastrnn.inference.language_model import LanguageModel
from fastrnn.inference.sampling import Sampler, SamplingParams
from fastrnn.reference import Reference, softmax

TEXTS, FIRST = 400, 10
LATER = slice(100, 200)
SEARCHED = 224  # tokens among which `Sampler.stream` lets a text begin
LENGTH = SEARCHED + LATER.stop + FIRST


def measure(path: str) -> dict[str, float]:
    """Return the mean entropies of a model's texts, in bits."""
    model = LanguageModel.load(path, exact=True)
    sampler = Sampler(model.network, model.tokenizer, rounded=False)
    start = sampler.prime_ids("")
    tokens = np.concatenate(list(sampler.tokens(TEXTS, LENGTH, start, SamplingParams(), seed=0)))

    # Column i predicts token i of each text, so the start token is the first input.
    inputs = np.concatenate([np.full((1, TEXTS), start[-1], np.int32), tokens[:-1]])
    reference = Reference(model.shape, model.network.parameters, np.float32)
    state = reference.zero_state(TEXTS)
    entropy = np.empty((LENGTH, TEXTS))
    for t, ids in enumerate(inputs):
        logits, state = reference.forward(ids[None], state)
        probabilities = softmax(logits[0])
        entropy[t] = -(probabilities * np.log2(np.maximum(probabilities, 1e-30))).sum(axis=-1)

    begins = [sampler.find_line(column[:SEARCHED]) for column in tokens.T]
    texts = [column[begin:] for column, begin in zip(entropy.T, begins, strict=True)]
    later = float(np.mean([text[LATER] for text in texts]))
    first = float(np.mean([text[:FIRST] for text in texts]))

    (line_break,) = model.tokenizer.encode("\n", "skip")[-1:].tolist() or [-1]
    lines = [
        text[at + 1 : at + 1 + FIRST]
        for text, column, begin in zip(texts, tokens.T, begins, strict=True)
        for at in np.flatnonzero(column[begin:][LATER] == line_break) + LATER.start
    ]
    later_lines = float(np.mean(np.concatenate(lines))) if lines else float("nan")
    return {
        "zero state, first token": float(entropy[0].mean()),
        "zero state, first ten": float(entropy[:FIRST].mean()),
        "sample, first ten": first,
        "later": later,
        "ratio": first / later,
        "later lines, first ten": later_lines,
        "ratio to lines": first / later_lines,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", metavar="MODEL", nargs="+")
    for path in parser.parse_args().models:
        print(path, "  ".join(f"{name} {value:.3f}" for name, value in measure(path).items()), flush=True)


if __name__ == "__main__":
    main()
