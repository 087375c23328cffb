"""Reads problems in the shape of KernelBench and compares a `ModelNew` with their `Model`, both in the sandbox."""
