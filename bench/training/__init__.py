"""One training: a model, a data set and a seed become a record."""
