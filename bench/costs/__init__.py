"""What models cost: parameters, operations, memory, seconds, and how these grow."""
