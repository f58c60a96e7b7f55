"""Fakes of other signatures than the functions they stand for are errors."""

import types

import pytest
from fakes import check_class, check_signature, replace


def real(path: str, *, size: int = 1, **options: object) -> int:
    return size


def strict(path: str, size: int = 1) -> int:
    return size


class Real:
    """A class with one method, one property of the class and one of the instance."""

    kind = "real"

    def __init__(self) -> None:
        self.length = 1

    def read(self, count: int) -> bytes:
        return b"x" * count


@pytest.mark.parametrize("fake", [lambda path, size=2: 2, lambda *_, **__: 2, lambda path, **_: 2, lambda *_: 2])
def test_fake_with_the_parameters_of_the_function_is_accepted(fake) -> None:
    check_signature(fake, strict)


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (lambda path: 2, "the fake of strict does not take size: int = 1"),
        (lambda: 2, "the fake of strict does not take path: str"),
        (lambda path, length: 2, "the fake of strict has parameters that strict lacks: length"),
        (lambda *_, threads=1, **__: 2, "the fake of strict has parameters that strict lacks: threads"),
    ],
)
def test_fake_of_another_signature_is_refused(fake, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_signature(fake, strict)


def test_fake_must_take_keyword_only_parameters() -> None:
    with pytest.raises(AssertionError, match="does not take size"):
        check_signature(lambda path: 1, real)
    with pytest.raises(AssertionError, match="does not take size"):
        check_signature(lambda *_: 1, real)


def test_calls_that_the_function_would_refuse_raise_type_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.SimpleNamespace(strict=strict)
    replace(monkeypatch, module, "strict", lambda *_, **__: 7)
    assert module.strict("a", size=3) == 7
    with pytest.raises(TypeError, match="unexpected keyword argument 'length'"):
        module.strict("a", length=3)


def test_replaced_method_receives_its_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, Real, "read", lambda reader, count: (reader.kind, count))
    assert Real().read(3) == ("real", 3)
    with pytest.raises(TypeError, match="missing a required argument"):
        Real().read()


def test_fake_class_has_the_members_of_the_class() -> None:
    class Fake:
        kind = "fake"
        length = 2

        def read(self, count: int) -> bytes:
            return b""

        def log(self) -> None: ...

    check_class(Fake, Real, own=["log"])
    with pytest.raises(AssertionError, match="Real has no log"):
        check_class(Fake, Real)
    Fake.read = lambda self, size: b""
    with pytest.raises(AssertionError, match=r"the fake of Real\.read has parameters .* lacks: size"):
        check_class(Fake, Real, own=["log"])
