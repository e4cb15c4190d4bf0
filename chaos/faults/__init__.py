"""The injectors, a file for each family; each is registered where it is written."""
