"""The slow tier: a real vLLM on the CPU, in containers, with a model and a fault of our own."""
