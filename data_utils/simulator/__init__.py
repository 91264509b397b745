"""The simulator of paired images and range images: scenes, solids, two sensors, and levels of difficulty."""
