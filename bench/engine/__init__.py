"""How models are trained fast: the trainer, its step, and what it is raced against."""
