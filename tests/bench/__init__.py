"""Benchmarks, each a command: beside rivals, references and an earlier commit."""
