"""How fast emogan is, beside the same networks in stock Flax and in PyTorch; see experiments/benchmark.py."""
