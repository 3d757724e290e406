"""Solvers that stop at a certificate, with methods chosen by what they cost."""
