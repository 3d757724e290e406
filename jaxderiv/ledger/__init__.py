"""The claims of the series "ML Math Derivations", parts 4, 5 and 6: a folder for each part, a file for each topic."""
