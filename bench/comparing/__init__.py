"""Two runs side by side: what changed, whether that is too much, and what is kept of every night."""
