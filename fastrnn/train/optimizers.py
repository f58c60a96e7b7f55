"""What each optimiser remembers between steps."""

# optimiser -> the names of its moments: "m" a mean of gradients, "v" a mean (Adagrad: a sum) of their squares.
# Each is a flat array as long as the parameters.
MOMENTS: dict[str, tuple[str, ...]] = {
    "adamw": ("m", "v"),
    "sgd": (),
    "momentum": ("m",),
    "rmsprop": ("v",),
    "adagrad": ("v",),
}
