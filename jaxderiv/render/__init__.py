"""Verdicts and derivations for people (text) and for programs (JSON). Strings and values; nobody prints here."""
