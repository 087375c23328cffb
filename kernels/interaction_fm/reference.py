"""The interaction of a factorisation machine: the truth, in plain PyTorch."""


def reference(x):
    """Half of the square of the sum over features less the sum of squares, summed over the width."""
    return 0.5 * (x.sum(1).pow(2) - x.pow(2).sum(1)).sum(1)


def touched(inputs, index):
    """The row that `index` lies in."""
    return index // (inputs["x"].shape[1] * inputs["x"].shape[2])
