"""Whether a kernel is right, and how fast it is: inputs, truth, backends, timing and roofline of `kernel:<op>`."""
