"""`ModelSpec`: sizes of a model's inputs and outputs; and the parameters of each task's model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cells import CELLS
from ..config import Config
from ..errors import ConfigError
from ..shapes import ModelShape, Shapes, StackShape, language_model_shapes, linear_shapes, stack_shapes
from ..task_specs import TASK_SPECS, get_supervised_task

if TYPE_CHECKING:
    from ..data.examples.schema import TaskSchema

_MAX_EMBEDDING = 100  # components of a word embedding; Ma and Hovy (2016) use as many


@dataclass(frozen=True)
class ModelSpec:
    """Sizes of a model's inputs and outputs; 0 where a task has no such input or output.

    Args:
        task: Name of the task.
        tokens: V of the input ids; 0 for dense input.
        characters: V of the characters in words (tag); 0 if every word is a single character.
        features: F of dense input.
        labels: K, the number of classes, tags or outputs (forecast: horizon * C). For generate the
            number of labels, or the size of the numeric condition.
        target_tokens: V of the decoder (generate, translate).
        binary: Whether the outputs of regress are bits.
        ngrams: N, the number of n-grams that a language model reads.
    """

    task: str
    tokens: int = 0
    characters: int = 0
    features: int = 0
    labels: int = 0
    target_tokens: int = 0
    binary: bool = False
    ngrams: int = 0


def model_spec(schema: "TaskSchema", task: str) -> ModelSpec:
    """Return the sizes of a model for data with this schema."""
    return get_supervised_task(task).model_spec(schema)


def get_schema_sizes(schema: "TaskSchema") -> ModelSpec:
    """Return the sizes that the tables of a schema have; K is the number of labels."""
    return ModelSpec(
        schema.task,
        tokens=schema.tokens.size if schema.tokens else 0,
        characters=schema.characters.size if schema.characters else 0,
        features=schema.features,
        labels=len(schema.labels),
        target_tokens=schema.target.size if schema.target else 0,
        binary=schema.binary,
    )


def parameter_shapes(config: Config, spec: ModelSpec) -> Shapes:
    """Return parameter name -> shape, in the order of the flat array.

    Prefixes: ``rnn.`` the stack, with torch.nn's names; ``embed.weight`` (V, E) the word embeddings;
    ``out.`` the output layer; ``chars.`` the character stack of tag. generate and translate have
    ``decoder.`` instead of ``rnn.``; translate also has ``encoder.``. ``given.`` and ``bridge.``
    are the linear layers that map to the decoder's initial state.

    Raises:
        ConfigError: The cell does not support the task, or ``hidden`` is not set.
    """
    if config.hidden is None or config.layers is None:
        raise ConfigError("hidden, the number of hidden units, is not set")
    if not CELLS[config.cell].is_recurrent and config.bidirectional:
        raise ConfigError(f"cell {config.cell} has no direction: leave out bidirectional, or use a recurrent cell")
    if not CELLS[config.cell].is_recurrent and TASK_SPECS[spec.task].reads_spelling:
        raise ConfigError(f"{spec.task} reads words letter by letter; cell {config.cell} cannot: use a recurrent cell")
    if not TASK_SPECS[spec.task].is_supervised:
        shape = ModelShape(config.cell, config.layers, config.hidden, spec.tokens, ngrams=spec.ngrams)
        return language_model_shapes(shape)
    return get_supervised_task(spec.task).parameter_shapes(config, spec)


def embedding_size(config: Config) -> int:
    """Return E, the size of a word embedding."""
    assert config.hidden is not None
    return min(config.hidden, _MAX_EMBEDDING)


def has_embeddings(config: Config, spec: ModelSpec) -> bool:
    """Return whether input ids select embeddings; characters and symbols are one-hot instead."""
    if spec.characters:
        return True
    return spec.tokens > 0 and config.tokens == "words" and TASK_SPECS[spec.task].embeds_words


def spelling_stack(config: Config, spec: ModelSpec) -> StackShape:
    """Return the character stack of tag: bidirectional, H/2 units per direction."""
    assert config.hidden is not None
    # Both directions together are as wide as the stack of words, up to rounding.
    half = (config.hidden + 1) // 2
    return StackShape(
        config.cell, 1, half, spec.characters, one_hot=True, bidirectional=True, prefix="chars"
    )  # fmt: skip


def input_stack(config: Config, spec: ModelSpec, prefix: str = "rnn") -> StackShape:
    """Return the stack that reads x: one-hot ids, embeddings, or numbers.

    For tag the outputs of the character stack are concatenated with the embeddings.
    """
    assert config.hidden is not None
    assert config.layers is not None
    inputs = spec.features or spec.tokens
    if has_embeddings(config, spec):
        inputs = embedding_size(config)
    if spec.characters:
        inputs += spelling_stack(config, spec).outputs

    # The dense cell has no input table; `SequenceEncoder` gives it explicit one-hot vectors.
    one_hot = spec.tokens > 0 and not has_embeddings(config, spec) and CELLS[config.cell].is_recurrent
    return StackShape(config.cell, config.layers, config.hidden, inputs, one_hot, config.bidirectional, prefix)


def decoder_shape(config: Config, spec: ModelSpec) -> ModelShape:
    """Return the shape of the language model over the target tokens."""
    assert config.hidden is not None
    assert config.layers is not None
    return ModelShape(config.cell, config.layers, config.hidden, spec.target_tokens, "decoder")


def embedding_shapes(config: Config, spec: ModelSpec) -> Shapes:
    """Return the shape of the word embeddings, if the model has them."""
    return {"embed.weight": (spec.tokens, embedding_size(config))} if has_embeddings(config, spec) else {}


def per_step_shapes(config: Config, spec: ModelSpec, summaries: int = 1) -> Shapes:
    """Return the shapes of a stack and an output layer, which reads ``summaries`` vectors as wide as the stack."""
    stack = input_stack(config, spec)
    out = linear_shapes("out", summaries * stack.outputs, spec.labels)
    return {**stack_shapes(stack), **out}


def conditional_shapes(config: Config, spec: ModelSpec) -> Shapes:
    """Return the shapes of a decoder whose initial states are linear in a vector (K,)."""
    shape = decoder_shape(config, spec)
    given: Shapes = {}
    for state in CELLS[shape.cell].states:
        given |= linear_shapes(f"given.{state}", spec.labels, shape.layers * shape.hidden)
    return given | language_model_shapes(shape)


def encoder_decoder_shapes(config: Config, spec: ModelSpec) -> Shapes:
    """Return the shapes of an encoder, a decoder, and the bridges between them if the encoder is bidirectional."""
    stack = input_stack(config, spec, "encoder")
    shape = decoder_shape(config, spec)
    bridge: Shapes = {}
    if stack.bidirectional:
        for state in CELLS[shape.cell].states:
            for n in range(shape.layers):
                bridge |= linear_shapes(f"bridge.{state}_l{n}", stack.outputs, shape.hidden)
    return {**embedding_shapes(config, spec), **stack_shapes(stack), **bridge, **language_model_shapes(shape)}
