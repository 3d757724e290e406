"""The mathematics: one module, one derivation; folders are chapters. Dropping a file in is all it takes."""
