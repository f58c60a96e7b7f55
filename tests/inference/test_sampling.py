"""Sampling of texts: stop texts, prompts, chunks, seeds and limits."""

import types

import numpy as np
import pytest
from engine_cases import make_network
from fakes import replace
from hypothesis import given
from hypothesis import strategies as st
from random_cases import make_model, make_state

from fastrnn.data.examples.symbol_vocab import SymbolVocab
from fastrnn.data.text.tokenizers import ByteTokenizer, CharTokenizer, WordTokenizer
from fastrnn.errors import ConfigError
from fastrnn.inference import sampling
from fastrnn.inference.sampling import Prompt, Sampler, SamplingParams, StopText, check_amounts
from fastrnn.nn.matmul_mode import sampling_mode
from fastrnn.nn.network import Stepper

CHARS = "abcdefghijkl"
GREEDY = SamplingParams(greedy=True)


@pytest.fixture
def sampler(rng):
    return Sampler(make_network(make_model("lstm", 2, rng, 9, 12), threads=1), CharTokenizer(CHARS), rounded=False)


def drawn(sampler, count, length, prime, params, state=None, **settings):
    """The texts (count,) of a stream."""
    pieces = sampler.stream(count, length, Prompt(prime, state=state), params, **settings)
    return ["".join(parts) for parts in zip(*pieces, strict=True)]


@given(pieces=st.lists(st.text("ab", max_size=5)), stop=st.text("ab", max_size=4))
def test_stop_text_ends_a_sample_at_its_first_occurrence_for_any_chunks(pieces, stop):
    stopping, text = StopText(stop), "".join(pieces)
    let_through = [stopping.feed(piece) for piece in pieces]
    expected = text.partition(stop)[0] if stop else text
    assert "".join(let_through) + stopping.flush() == expected
    assert stopping.done == (bool(stop) and stop in text)
    assert stopping.flush() == ""
    if stopping.done:
        assert stopping.feed("a") == ""


def test_only_a_possible_prefix_of_the_stop_text_is_held_back():
    stopping = StopText("aab")
    assert [stopping.feed(char) for char in "caabc"] == ["c", "", "", "", ""]
    stopping = StopText("aab")
    assert [stopping.feed(char) for char in "aaac"] == ["", "", "a", "aac"]
    assert StopText(None).feed("abc") == "abc"


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        ((0, 1, 0), "count is 0; it must be at least 1"),
        ((1, -1, 0), "length is -1; it must be at least 0"),
        ((1, 10**23, 0), r"length is 1e\+23; it must be at most 1,000,000,000,000"),
        ((1, 1, -1), "seed is -1; it must be at least 0"),
        ((65537, 1, 0), "count is 65,537; it must be at most 65,536"),
    ],
)
def test_amounts_have_limits(amounts, words):
    with pytest.raises(ConfigError, match=words):
        check_amounts(*amounts)
    check_amounts(1, 0, 0)
    check_amounts(65536, 10**12, 1 << 80)


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 1e-30}, {"top_k": 0}, {"top_k": 1}, {"top_p": 1.0}, {"top_p": 1e-9}, {"min_p": 0.99}],
)
def test_limits_of_sampling_params_are_allowed(settings):
    SamplingParams(**settings)


def test_infinite_temperature_is_refused():
    with pytest.raises(ConfigError, match="temperature is inf"):
        SamplingParams(temperature=float("inf"))


def test_block_sizes_start_small_and_add_up_to_the_length(sampler):
    blocks = list(sampler.tokens(3, 50, np.array([2]), SamplingParams(), 0))
    assert len(blocks[0]) == 8
    assert sum(map(len, blocks)) == 50
    assert {(block.dtype, block.shape[1]) for block in blocks} == {(np.dtype(np.int32), 3)}
    assert [len(b) for b in sampler.tokens(1, 3, np.array([2]), SamplingParams(), 0)] == [3]
    assert list(sampler.tokens(1, 0, np.array([2]), SamplingParams(), 0)) == []


def test_slow_block_is_followed_by_a_shorter_one(sampler, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(sampling.time, "perf_counter", lambda: next(clock))
    assert [len(b) for b in sampler.tokens(1, 12, np.array([2]), SamplingParams(), 0)] == [8, 1, 1, 1, 1]


def test_fast_block_is_followed_by_one_four_times_as_long(sampler, monkeypatch):
    monkeypatch.setattr(sampling.time, "perf_counter", lambda: 1000.0)
    assert [len(b) for b in sampler.tokens(1, 20_000, np.array([2]), GREEDY, 0)][:6] == [8, 32, 128, 512, 2048, 4096]


def test_prompt_chunking_does_not_change_samples(sampler, monkeypatch):
    whole = drawn(sampler, 1, 30, "abcabcabcabc", GREEDY)
    for steps in (1, 3, 11, 12):
        monkeypatch.setattr(sampling, "_FIRST_BLOCK", steps)
        monkeypatch.setattr(sampling, "_MAX_BLOCK", steps)
        assert drawn(sampler, 1, 30, "abcabcabcabc", GREEDY) == whole


def test_sample_continues_its_prompt(sampler):
    (text,) = drawn(sampler, 1, 30, "abc", GREEDY)
    assert drawn(sampler, 1, 20, "abc" + text[:10], GREEDY) == [text[10:]]
    assert drawn(sampler, 2, 30, "abc", GREEDY) == [text, text]


def test_without_a_prompt_the_document_start_is_fed(rng):
    network = make_network(make_model("lstm", 1, rng, 9, 12), threads=1)
    plain, other = CharTokenizer(CHARS), CharTokenizer("\n" + CHARS[1:])
    assert Sampler(network, plain).prime_ids("").tolist() == [0]
    assert Sampler(network, other).prime_ids("").tolist() == [0]
    assert Sampler(network, plain, separator="cd").prime_ids("").tolist() == [2, 3]
    assert Sampler(network, plain, separator="cd").prime_ids("ab").tolist() == [0, 1]
    assert Sampler(network, plain, end=0).prime_ids("b").tolist() == [0, 1]
    assert Sampler(network, plain, end=0).prime_ids("").tolist() == [0]


def test_sample_is_decoded_in_the_context_of_the_prompt(rng):
    """With a space after a word, and none after an opening bracket."""
    words = WordTokenizer(["<EOS>", "<UNK>", "the", "cat", "sat", "on", "a", "mat", "(", ")", ".", ","])
    sampler = Sampler(make_network(make_model("lstm", 1, rng, 9, 12), threads=1), words, rounded=False)
    for prime in ("the cat", "the (", "sat."):
        fed = sampler.prime_ids(prime)
        ids = np.concatenate([fed, *(block[:, 0] for block in sampler.tokens(1, 20, fed, SamplingParams(), 1))])
        assert [prime + text for text in drawn(sampler, 1, 20, prime, SamplingParams(), seed=1)] == [words.decode(ids)]


def test_weights_are_rounded_only_when_requested(rng):
    """Some tokens in ten thousand fall otherwise by it; float32 beside float64 moves hardly one."""
    model = make_model("lstm", 2, rng, 9, 12)
    single, double = (make_network(model, dtype, threads=1) for dtype in (np.float32, np.float64))

    def tokens(network, rounded):
        sampler = Sampler(network, CharTokenizer(CHARS), rounded=rounded)
        return np.concatenate(list(sampler.tokens(4, 3000, np.array([0, 1]), SamplingParams(), 0)))

    expected = tokens(double, False)
    assert (tokens(single, False) != expected).sum() < (tokens(single, True) != expected).sum()


def test_given_states_follow_their_context(sampler, rng):
    """From a state of each stream: the same as the textbook's walk from there."""
    model = make_model("lstm", 2, rng, 9, 12)
    network, state = make_network(model, threads=1), make_state("lstm", rng, 2, 3, 9)
    tokens = np.concatenate(
        list(Sampler(network, CharTokenizer(CHARS), rounded=False).tokens(3, 6, np.array([4, 1, 2]), GREEDY, 0, state))
    )
    fed = np.concatenate([np.repeat([[4], [1], [2]], 3, axis=1), tokens[:-1]])
    logits, _ = model.forward(fed, state)
    np.testing.assert_array_equal(tokens, logits[2:].argmax(axis=-1))


def test_samples_stop_independently_and_the_stream_ends_with_the_last(sampler):
    texts = drawn(sampler, 4, 200, "a", SamplingParams(), seed=3)
    stopped = drawn(sampler, 4, 200, "a", SamplingParams(), seed=3, stop="b")
    assert stopped == [text.partition("b")[0] for text in texts]
    pieces = list(sampler.stream(4, 1 << 40, Prompt("a"), SamplingParams(), seed=3, stop="b"))  # would go on for ever
    assert ["".join(p) for p in zip(*pieces, strict=True)] == stopped


def test_decoder_stops_at_the_end_symbol_and_never_samples_unknown(rng):
    model = make_model("lstm", 1, rng, 9, 12)
    model.parameters["out.bias"][1] = 50.0  # the unknown symbol would be drawn every time
    model.parameters["out.bias"][0] = 1.0
    decoder = Sampler(make_network(model, threads=1), SymbolVocab("chars", CHARS[:10]), rounded=False, end=0)
    texts = drawn(decoder, 5, 1 << 40, "", SamplingParams())
    assert all("\ufffd" not in text and len(text) < 1000 for text in texts)
    assert len(set(texts)) > 1


def test_decoder_without_an_end_symbol_stops_at_the_length(rng):
    model = make_model("lstm", 1, rng, 9, 12)
    model.parameters["out.bias"][0] = -50.0
    decoder = Sampler(make_network(model, threads=1), SymbolVocab("chars", CHARS[:10]), rounded=False, end=0)
    assert [len(text) for text in drawn(decoder, 3, 60, "", SamplingParams())] == [60] * 3


def test_greedy_sampling_ignores_the_temperature(sampler):
    hot = SamplingParams(temperature=50.0, greedy=True)
    assert drawn(sampler, 1, 40, "ab", hot) == drawn(sampler, 1, 40, "ab", GREEDY)
    assert drawn(sampler, 1, 40, "ab", SamplingParams(temperature=50.0)) != drawn(sampler, 1, 40, "ab", GREEDY)


def test_same_seed_gives_the_same_text_and_samples_differ(sampler):
    texts = drawn(sampler, 3, 40, "ab", SamplingParams(), seed=5)
    assert len(set(texts)) == 3
    assert drawn(sampler, 3, 40, "ab", SamplingParams(), seed=5) == texts
    assert drawn(sampler, 1, 40, "ab", SamplingParams(), seed=5) == texts[:1]
    assert drawn(sampler, 1, 40, "ab", SamplingParams()) == drawn(sampler, 1, 40, "ab", SamplingParams(), seed=0)


def test_sampling_uses_amx_where_available():
    processors = [types.SimpleNamespace(TARGET=types.SimpleNamespace(amx=amx)) for amx in (True, False)]
    cases = [(128, 1), (256, 15), (257, 15), (257, 16), (128, 64)]
    with_amx, without = ([sampling_mode(kernels, *case) for case in cases] for kernels in processors)
    assert with_amx == ["bfloat16", "bfloat16", "rounded", "bfloat16", "bfloat16"]
    assert without == ["rounded"] * len(cases)


@pytest.mark.parametrize("exact", [False, True])
def test_sample_is_the_same_for_any_number_of_samples(exact, rng):
    network = make_network(make_model("lstm", 2, rng, 33, 40), np.float32, threads=2)
    sampler = Sampler(network, CharTokenizer("".join(map(chr, range(48, 88)))), rounded=not exact)
    few, many = (
        np.concatenate(list(sampler.tokens(count, 50, np.zeros(3, np.int64), SamplingParams(), 5))) for count in (3, 40)
    )
    assert len(np.unique(few)) > 10
    np.testing.assert_array_equal(few, many[:, :3])


@pytest.mark.parametrize("pieces", [["ab", "c"], ["a", "bc"], ["xab", "cy"], ["a", "b", "c"], ["aab", "c"]])
def test_partial_stop_text_is_held_back_until_complete(pieces):
    stop = StopText("abc")
    shown = "".join(stop.feed(piece) for piece in pieces) + stop.flush()
    assert stop.done
    assert shown == "".join(pieces).partition("abc")[0]


def test_weights_are_rounded_by_default(rng):
    network = make_network(make_model("lstm", 1, rng, 9, 12), np.float32, threads=1)
    assert Sampler(network, CharTokenizer(CHARS)).rounded


def test_every_token_of_a_prompt_is_fed(rng):
    """What comes first is the likeliest after all of it, one step after the other."""
    model = make_model("lstm", 1, rng, 9, 12)
    model.parameters["out.weight"] *= 5
    network = make_network(model, threads=1)
    sampler, stepper = Sampler(network, CharTokenizer(CHARS), rounded=False), Stepper(network)
    for length in (1, 2, 3, 5):
        for prime in rng.integers(12, size=(20, length)):
            state = network.initial_state(1)
            for token in prime:
                logits = stepper.logits(np.array([[token]], np.int32), state)
            assert next(sampler.tokens(1, 1, prime, GREEDY, 0))[0, 0] == logits[0].argmax()


def test_unknown_words_can_be_forbidden(rng):
    words = WordTokenizer(["<EOS>", "<UNK>", "the", "cat", "sat", "on", "a", "mat", "(", ")", ".", ","])
    model = make_model("lstm", 1, rng, 9, 12)
    model.parameters["out.bias"][1] = 5.0
    sampler = Sampler(make_network(model, threads=1), words, rounded=False)
    before = model.parameters["out.bias"].copy()
    assert "<UNK>" in drawn(sampler, 1, 40, "the cat", SamplingParams())[0]
    for drawing in (SamplingParams(), GREEDY, SamplingParams(temperature=9.0)):
        assert "<UNK>" not in "".join(drawn(sampler.without_unknown(), 3, 40, "the cat", drawing))
    assert "<UNK>" in drawn(sampler, 1, 40, "the cat", SamplingParams())[0]
    np.testing.assert_array_equal(model.parameters["out.bias"], before)


def test_characters_have_no_unknown_token_to_forbid(sampler):
    assert drawn(sampler.without_unknown(), 2, 30, "abc", SamplingParams()) == drawn(
        sampler, 2, 30, "abc", SamplingParams()
    )


def test_bytes_end_with_a_whole_character():
    """However many bytes are drawn: the text so far without a cut character, also before a stop text."""
    data = np.frombuffer("aé☃😀b".encode(), np.uint8)

    class Fixed(Sampler):
        def __init__(self):
            self.tokenizer, self.end, self.separator = ByteTokenizer(), None, None

        def tokens(self, count, length, prime, drawing, seed, state=None):
            yield data[:length, None].astype(np.int32)

    expected = ["a", "a", "aé", "aé", "aé", "aé☃", "aé☃", "aé☃", "aé☃", "aé☃😀", "aé☃😀b"]
    assert [drawn(Fixed(), 1, n, "x", GREEDY)[0] for n in range(1, 12)] == expected
    assert drawn(Fixed(), 1, 4, "x", GREEDY, stop="é☃") == ["aé"]


def test_text_without_a_prompt_begins_with_a_line_after_the_warm_up(rng):
    sampler = Sampler(
        make_network(make_model("lstm", 1, rng, 12, 5), threads=1), CharTokenizer("\n abc"), rounded=False
    )
    prime = sampler.prime_ids("")
    tokens = np.concatenate(list(sampler.tokens(3, 400, prime, SamplingParams(), 5)))
    texts = drawn(sampler, 3, 60, "", SamplingParams(), seed=5)
    for text, column in zip(texts, tokens.T, strict=True):
        begin = sampler.find_line(column)
        assert begin >= sampling._WARM_UP
        assert sampler.tokenizer.decode(column[begin - 1 : begin]) == "\n"
        assert text == sampler.tokenizer.decode(column[begin : begin + 60])
    assert drawn(sampler, 1, 60, "", SamplingParams(), seed=5) == texts[:1]
    assert drawn(sampler, 1, 7, "", SamplingParams(), seed=5) == [texts[0][:7]]
    assert drawn(sampler, 2, 0, "", SamplingParams()) == ["", ""]


def test_prompt_of_unknown_characters_only_is_no_prompt(rng):
    network = make_network(make_model("lstm", 1, rng, 12, 5), threads=1)
    sampler = Sampler(network, CharTokenizer("\n abc"), rounded=False)
    pieces = sampler.stream(2, 60, Prompt("☃☃", "skip"), SamplingParams(), seed=5)
    texts = ["".join(parts) for parts in zip(*pieces, strict=True)]
    assert texts == drawn(sampler, 2, 60, "", SamplingParams(), seed=5)


def test_no_warm_up_where_training_starts_from_zero_or_a_state_is_given(rng, monkeypatch):
    tokenizer = CharTokenizer("\n abc")
    network = make_network(make_model("gru", 1, rng, 12, 5), threads=1)

    def refuse(*_):
        raise AssertionError("a warm-up")

    replace(monkeypatch, Sampler, "_skip_warm_up", refuse)
    separated = Sampler(network, tokenizer, separator="\n\n")
    assert len(drawn(separated, 1, 9, "", SamplingParams())[0]) == 9
    assert len(drawn(Sampler(network, tokenizer), 1, 9, "a", SamplingParams())[0]) == 9
    assert len(drawn(Sampler(network, tokenizer, end=0), 1, 9, "", SamplingParams())[0]) <= 9
    state = make_state("gru", rng, 1, 1, 12)
    assert len(drawn(Sampler(network, tokenizer), 1, 9, "", SamplingParams(), state=state)[0]) == 9


@pytest.mark.parametrize(
    ("tokenizer", "text", "rest"),
    [
        (CharTokenizer("\n ab"), "\n" * 32 + "ab a\nb ", "b "),
        (CharTokenizer(" ab"), "a" * 33 + " b", "b"),
        (CharTokenizer("ab"), "a" * 32 + "b", "b"),
        (ByteTokenizer(), "\n" + "é" * 16 + "a", "a"),  # byte 32 is the second half of a character
    ],
)
def test_text_begins_with_a_line_a_word_or_a_whole_character(tokenizer, text, rest):
    sampler = Sampler(types.SimpleNamespace(), tokenizer)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids[sampler.find_line(ids) :]) == rest
