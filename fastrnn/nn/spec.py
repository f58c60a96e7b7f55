"""What goes in and out of a model, and the names and shapes of parameters that follow for each task."""

from collections.abc import Callable
from dataclasses import dataclass

from ..cells import CELLS
from ..config import Config
from ..data.examples.schema import TaskSchema
from ..errors import ConfigError
from ..shapes import ModelShape, Shapes, StackShape, linear_shapes, stack_shapes
from ..shapes import parameter_shapes as model_shapes

_EMBEDDING = 100  # most numbers that stand for a word; the embeddings of Ma and Hovy (2016) have as many


@dataclass(frozen=True)
class ModelSpec:
    """Sizes of a model's inputs and outputs; 0 for what a task does not have.

    ``tokens``: V of the input ids; 0 for dense input. ``characters``: V of the characters that words are spelt with
    (tag; none where they are symbols of one character). ``features``: F of dense input. ``labels``: K, the classes,
    tags or outputs (forecast: horizon * C); for generate the number of labels, or the length of ``given``.
    ``target_tokens``: V of the decoder (generate, translate). ``binary``: the outputs of regress are bits.
    """

    task: str
    tokens: int = 0
    characters: int = 0
    features: int = 0
    labels: int = 0
    target_tokens: int = 0
    binary: bool = False


def model_spec(schema: TaskSchema, task: str) -> ModelSpec:
    """Sizes of the inputs and outputs of a model for data with this schema."""
    labels = len(schema.labels)
    if task == "forecast":
        labels = schema.horizon * (schema.inputs.size if schema.inputs else 0)
    elif task == "regress":
        labels = schema.outputs.size if schema.outputs else 0
    elif task == "generate" and schema.inputs:
        labels = schema.inputs.size
    return ModelSpec(
        task,
        tokens=schema.tokens.size if schema.tokens else 0,
        characters=schema.characters.size if schema.characters else 0,
        features=0 if task == "generate" else schema.features,
        labels=labels,
        target_tokens=schema.target.size if schema.target else 0,
        binary=schema.binary,
    )


def parameter_shapes(config: Config, signature: ModelSpec) -> Shapes:
    """Parameter name -> shape, in the order in which they lie in the flat array.

    The stack is ``rnn.``, with torch.nn's names; ``embed.weight`` (V, E) are the embeddings of words; ``out.`` the
    output layer. tag has a stack ``chars.`` for the spelling; generate and translate have ``decoder.`` instead of
    ``rnn.``, translate ``encoder.``, and the linear maps to the decoder's first state are ``given.`` and ``bridge.``.
    Raises `ConfigError` for a task that the cell cannot do.
    """
    if config.hidden is None:
        raise ConfigError("hidden, the number of hidden units, is not set")
    if not CELLS[config.cell].is_recurrent and config.bidirectional:
        raise ConfigError(f"cell {config.cell} has no direction: leave out bidirectional, or use a recurrent cell")
    if not CELLS[config.cell].is_recurrent and signature.task == "tag":
        raise ConfigError(f"tag reads words letter by letter; cell {config.cell} cannot: use a recurrent cell")
    return _SHAPES[signature.task](config, signature)


def embedding_size(config: Config) -> int:
    """E: numbers that stand for a word."""
    assert config.hidden is not None
    return min(config.hidden, _EMBEDDING)


def embeds(config: Config, signature: ModelSpec) -> bool:
    """Whether ids are looked up in a table of embeddings; characters and symbols are fed one-hot."""
    if signature.task == "tag":
        return signature.characters > 0
    return signature.tokens > 0 and config.tokens == "words"


def spelling_stack(config: Config, signature: ModelSpec) -> StackShape:
    """The two directions that read a word's letters; each has half as many hidden units as the words' stack."""
    assert config.hidden is not None
    half = (config.hidden + 1) // 2
    return StackShape(
        config.cell, 1, half, signature.characters, one_hot=True, bidirectional=True, prefix="chars"
    )  # fmt: skip


def input_stack(config: Config, signature: ModelSpec, prefix: str = "rnn") -> StackShape:
    """The stack that reads x: one-hot ids, embeddings (tag: with what was read of the spelling beside), or numbers."""
    assert config.hidden is not None
    inputs = signature.features or signature.tokens
    if embeds(config, signature):
        inputs = embedding_size(config)
    if signature.task == "tag" and signature.characters:
        inputs += spelling_stack(config, signature).outputs
    one_hot = signature.tokens > 0 and not embeds(config, signature) and CELLS[config.cell].is_recurrent
    return StackShape(config.cell, config.layers, config.hidden, inputs, one_hot, config.bidirectional, prefix)


def decoder_shape(config: Config, signature: ModelSpec) -> ModelShape:
    """The language model that writes the target."""
    assert config.hidden is not None
    return ModelShape(config.cell, config.layers, config.hidden, signature.target_tokens, "decoder")


def _embedding(config: Config, signature: ModelSpec) -> Shapes:
    return {"embed.weight": (signature.tokens, embedding_size(config))} if embeds(config, signature) else {}


def _language_model(config: Config, signature: ModelSpec) -> Shapes:
    assert config.hidden is not None
    return model_shapes(ModelShape(config.cell, config.layers, config.hidden, signature.tokens))


def _tag(config: Config, signature: ModelSpec) -> Shapes:
    if not signature.characters:
        return _every_step(config, signature)
    spelling = stack_shapes(spelling_stack(config, signature))
    return {**_embedding(config, signature), **spelling, **_every_step(config, signature)}


def _every_step(config: Config, signature: ModelSpec, summaries: int = 1) -> Shapes:
    stack = input_stack(config, signature)
    out = linear_shapes("out", summaries * stack.outputs, signature.labels)
    return {**stack_shapes(stack), **out}


def _classify(config: Config, signature: ModelSpec) -> Shapes:
    return {**_embedding(config, signature), **_every_step(config, signature, summaries=2)}


def _generate(config: Config, signature: ModelSpec) -> Shapes:
    shape = decoder_shape(config, signature)
    given: Shapes = {}
    for state in CELLS[shape.cell].states:
        given |= linear_shapes(f"given.{state}", signature.labels, shape.layers * shape.hidden)
    return given | model_shapes(shape)


def _translate(config: Config, signature: ModelSpec) -> Shapes:
    stack, shape = input_stack(config, signature, "encoder"), decoder_shape(config, signature)
    bridge: Shapes = {}
    if stack.bidirectional:
        for state in CELLS[shape.cell].states:
            for n in range(shape.layers):
                bridge |= linear_shapes(f"bridge.{state}_l{n}", stack.outputs, shape.hidden)
    return {**_embedding(config, signature), **stack_shapes(stack), **bridge, **model_shapes(shape)}


_SHAPES: dict[str, Callable[[Config, ModelSpec], Shapes]] = {
    "language-model": _language_model,
    "tag": _tag,
    "classify": _classify,
    "generate": _generate,
    "translate": _translate,
    "forecast": _every_step,
    "regress": _every_step,
}
