"""The costs of models: forward passes, growth with the work, our training loop, memory of a whole run."""
