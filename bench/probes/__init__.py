"""What trained models do beyond their accuracy: under corrupted inputs, and inside. Trains nothing."""
