"""The injectors, a file for each family."""
