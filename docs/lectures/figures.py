"""Run the pages of the lectures, write their output into them, and draw their figures.

    python docs/lectures/figures.py                 every page
    python docs/lectures/figures.py tagging deep    these pages
    python docs/lectures/figures.py --draw tagging  only the figure, from the runs of the last time

Needs matplotlib (`pip install '.[plot]'`). Runs are kept in build/lectures/PAGE.
"""

import argparse
import csv
import json
import os
import shutil
from pathlib import Path

import matplotlib
import numpy as np

import fastrnn

matplotlib.use("svg")
import matplotlib.pyplot as plt
from page_runner import run_page

LECTURES = Path(__file__).parent
ROOT = LECTURES.parent.parent

# The same run gives the same file: no date, and ids that do not change.
plt.rcParams.update({"svg.hashsalt": "fastrnn", "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3})
plt.rcParams.update({"figure.figsize": (6.4, 3.2), "figure.constrained_layout.use": True})

COLORS = {"rnn": "tab:red", "gru": "tab:green", "lstm": "tab:blue"}


def evaluations(run: Path, key: str) -> tuple[list[int], list[float]]:
    """Return the steps and the values of ``key`` at the evaluations in the log of a run."""
    events = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    events = [event for event in events if event["event"] == "evaluation"]
    return [event["step"] for event in events], [event[key] for event in events]


def plot_evaluations(folder: Path, runs: dict[str, str], key: str, label: str) -> None:
    """Plot ``key`` over the steps, one curve for each run; ``runs`` maps names of runs to labels."""
    for name, text in runs.items():
        color = COLORS.get(name.rstrip("0123456789"))
        plt.plot(*evaluations(folder / "runs" / name, key), label=text, color=color, ls="--" if "100" in name else "-")
    plt.xlabel("step")
    plt.ylabel(label)
    plt.legend()


def plot_bars(names: list[str], values: list[float], label: str) -> None:
    bars = plt.bar(names, values, color="tab:blue")
    plt.bar_label(bars, fmt="%.3g")
    plt.ylabel(label)


def plot_gradients(folder: Path, files: dict[str, str]) -> None:
    """Plot the norms that `inspect --csv` wrote; of an LSTM, those of its cell state."""
    for name, text in files.items():
        with (folder / f"{name}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        state = rows[-1]["state"]  # c comes after h
        rows = [row for row in rows if row["state"] == state]
        plt.semilogy([int(row["steps_back"]) for row in rows], [float(row["norm"]) for row in rows], label=text)
    plt.xlabel("steps back")
    plt.ylabel("norm of the gradient")
    plt.ylim(1e-12, 1e12)
    plt.legend(fontsize="small")


def step_by_step(folder: Path) -> None:
    model = fastrnn.load(folder / "runs" / "hello")
    names = [repr(model.tokenizer.decode([i])).strip("'") for i in range(model.tokenizer.size)]
    table = np.array([model.step(x) for x in "hell"])
    plt.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    plt.grid(False)
    plt.xticks(range(len(names)), names)
    plt.yticks(range(4), ["h", "he", "hel", "hell"])
    for (row, column), p in np.ndenumerate(table):
        plt.text(column, row, f"{p:.2f}", ha="center", va="center", color="white" if p > 0.5 else "black")
    plt.xlabel("next character")
    plt.ylabel("read so far")


def character_model(folder: Path) -> None:
    plot_evaluations(folder, {"chars": "RNN, 128 units"}, "valid_bits", "validation loss (bits a character)")


def truncated_bptt(folder: Path) -> None:
    corpus = fastrnn.read_corpus([str(folder / "lines.txt")])
    lengths = [4, 8, 16, 32]
    losses = [fastrnn.load(folder / "runs" / f"seq{n}").evaluate(corpus).nats for n in lengths]
    plot_bars([str(n) for n in lengths], losses, "nats a character")
    plt.axhline(np.log(8) / 11, color="tab:green", label="letter remembered")
    plt.axhline(2 * np.log(8) / 11, color="tab:red", label="letter forgotten")
    plt.xlabel("--seq")
    plt.legend()


def vanishing_gradients(folder: Path) -> None:
    names = {"half": "RNN, scale 0.5", "rnn": "RNN", "four": "RNN, scale 4", "lstm": "LSTM, forget bias 1"}
    plot_gradients(folder, {**names, "open": "LSTM, forget bias 5", "gru": "GRU, update bias 5"})


def gated_cells(folder: Path) -> None:
    names = {f"{cell}{gap}": f"{cell.upper()}, gap {gap}" for cell in ("rnn", "gru", "lstm") for gap in (40, 100)}
    plot_evaluations(folder, names, "accuracy", "validation accuracy")


def relu_rnn(folder: Path) -> None:
    names = {"tanh": "tanh, orthogonal", "tanhmore": "tanh, orthogonal x 2.5", "half": "ReLU, identity x 0.5"}
    plot_gradients(folder, {**names, "identity": "ReLU, identity", "more": "ReLU, identity x 1.25"})


def bit_reversal(folder: Path) -> None:
    names = {"p3": "problem 3", "p4": "problem 4", "small": "problem 4, one unit"}
    plot_evaluations(folder, names, "accuracy", "validation accuracy")


def word_model(folder: Path) -> None:
    model = fastrnn.load(folder / "runs" / "words")
    for offset, noun in ((-0.2, "clouds"), (0.2, "ships")):
        probabilities = dict(model.complete(f"the {noun} are in the", n=model.tokenizer.size))
        words = ["sky", "west", "sea"]
        values = [probabilities[word] for word in words]
        plt.bar(np.arange(3) + offset, values, 0.4, label=f"the {noun} are in the ...")
    plt.xticks(range(3), words)
    plt.ylabel("probability")
    plt.legend()


def last_word(folder: Path) -> None:
    for cell in ("rnn", "lstm"):
        for gap in (3, 10):
            steps, nats = evaluations(folder / "runs" / f"{cell}{gap}", "valid_nats")
            sentences = [(gap + 11) * loss for loss in nats]  # words of a sentence, with its end
            style = "-" if gap == 3 else "--"
            plt.plot(steps, sentences, style, color=COLORS[cell], label=f"{cell.upper()}, gap {gap}")
    plt.axhline(np.log(6), color="gray", lw=1, label="country remembered")
    plt.axhline(2 * np.log(6), color="gray", lw=1, ls=":", label="country forgotten")
    plt.xlabel("step")
    plt.ylabel("nats a sentence")
    plt.ylim(0, 5)
    plt.legend(fontsize="small", ncols=2)


def deep(folder: Path) -> None:
    names = {"one": "1 x 64", "two": "2 x 64", "three": "3 x 64", "wide": "1 x 128"}
    plot_evaluations(folder, names, "valid_nats", "validation loss (nats)")


def tagging(folder: Path) -> None:
    sentences = ["he said Teddy bears are on sale", "he said Teddy Roosevelt was a great president"]
    for offset, name, label in ((-0.2, "left", "reads from the left"), (0.2, "both", "reads both ways")):
        model = fastrnn.load(folder / "runs" / name)
        values = []
        for prediction in model.predict([sentence.split() for sentence in sentences]):
            p = prediction.probability[2]
            values.append(p if prediction.value[2] == "1" else 1 - p)
        plt.bar(np.arange(2) + offset, values, 0.4, label=label)
    plt.xticks(range(2), ["Teddy bears are on sale", "Teddy Roosevelt was a great president"])
    plt.ylabel("P(Teddy is a name)")
    plt.legend()


def classification(folder: Path) -> None:
    labels = {"reviews": "half of the sentences negated", "plain": "none negated"}
    share = []
    for name in labels:
        model = fastrnn.load(folder / "runs" / name)
        share.append([model.evaluate([str(folder / file)])["accuracy"] for file in ("plain.tsv", "negated.tsv")])
    for offset, values, label in zip((-0.2, 0.2), share, labels.values(), strict=True):
        plt.bar_label(plt.bar(np.arange(2) + offset, values, 0.4, label=f"trained with {label}"), fmt="{:.0%}")
    plt.xticks(range(2), ["sentences without not", "sentences with not"])
    plt.ylabel("accuracy")
    plt.legend()


def generation(folder: Path) -> None:
    model = fastrnn.load(folder / "runs" / "melodies")
    notes = "CDeEFGaAbB"
    for offset, name in ((-0.2, "major"), (0.2, "minor")):
        text = "".join(model.generate(name, count=200, seed=2))
        plt.bar(np.arange(len(notes)) + offset, [text.count(note) / len(text) for note in notes], 0.4, label=name)
    plt.xticks(range(len(notes)), notes)
    plt.ylabel("share of the notes")
    plt.legend()


def translation(folder: Path) -> None:
    plot_evaluations(folder, {"dates": "GRU, 128 units"}, "exact", "exact translations")


def image_rows(folder: Path) -> None:
    data = np.load(folder / "new.npz")
    model = fastrnn.load(folder / "runs" / "digits")
    figure = plt.gcf()
    axes = figure.subplots(1, 3)
    images = data["x"][:3]
    for axis, image, prediction in zip(axes, images, model.predict(list(images)), strict=True):
        axis.imshow(image, cmap="gray_r")
        axis.grid(False)
        axis.set_title(f"{prediction.value}, p = {prediction.probability:.3f}")
        axis.set_xticks([])
        axis.set_ylabel("step")


def forecasting(folder: Path) -> None:
    with (folder / "waves.csv").open(encoding="utf-8") as file:
        lines = file.readlines()
    start, steps = len(lines) - 72, 72
    (folder / "start.csv").write_text("".join(lines[:start]), encoding="utf-8")
    for name, color in (("a", "tab:blue"), ("b", "tab:orange")):
        column = lines[0].strip().split(",").index(name)
        values = [float(line.split(",")[column]) for line in lines[1:]]
        plt.plot(range(-72, steps), values[-144:], color=color, label=name)
    model = fastrnn.load(folder / "runs" / "lstm")
    (rows,) = model.forecast(model.read_examples([str(folder / "start.csv")]), steps)
    plt.plot(range(steps), rows, "k--", lw=1)
    plt.axvline(24, color="gray", lw=1)
    plt.xlabel("hours; dashed: forecast, beyond the gray line fed by itself")
    plt.legend()


FIGURES = {
    function.__name__.replace("_", "-"): function
    for function in (
        step_by_step, character_model, truncated_bptt, vanishing_gradients, gated_cells, relu_rnn, bit_reversal,
        word_model, last_word, deep, tagging, classification, generation, translation, image_rows, forecasting,
    )
}  # fmt: skip


def main() -> None:
    """Run the chosen pages, rewrite their output, and draw their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="Name of a page without .md. [default: all]")
    parser.add_argument("--missing", action="store_true", help="Run only blocks without output, in the last folder.")
    parser.add_argument("--draw", action="store_true", help="Draw from the runs of the last time.")
    arguments = parser.parse_args()
    os.environ["FASTRNN_PRECISION"] = "float32"  # as the index says
    for name in arguments.pages or FIGURES:
        folder = ROOT / "build" / "lectures" / name
        if not arguments.draw:
            if not arguments.missing:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            page = LECTURES / f"{name}.md"
            page.write_text(run_page(page, folder, arguments.missing), encoding="utf-8")
        plt.figure()
        FIGURES[name](folder)
        plt.savefig(LECTURES / "figures" / f"{name}.svg", metadata={"Date": None})
        plt.close()
        print(f"{name}: done", flush=True)


if __name__ == "__main__":
    main()
