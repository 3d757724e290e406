r"""LaTeX as readable text: ``$\frac1n X^\top (\sigma(Xw) - y)$`` becomes ``1/n Xᵀ (σ(Xw) - y)``.

Simple mathematics only. What is not known here stays LaTeX, which a reader of derivations can read as well.
"""

from __future__ import annotations

import re
import unicodedata

_SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ",
    "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "ell": "ℓ",
    "sum": "∑", "prod": "∏", "int": "∫", "infty": "∞", "top": "⊤", "odot": "⊙", "otimes": "⊗", "oplus": "⊕",
    "cdot": "·", "times": "×", "circ": "∘", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
    "neq": "≠", "approx": "≈", "equiv": "≡", "sim": "∼", "ll": "≪", "gg": "≫", "in": "∈", "notin": "∉",
    "subset": "⊂", "to": "→", "rightarrow": "→", "mapsto": "↦", "Rightarrow": "⇒", "iff": "⇔", "forall": "∀",
    "exists": "∃", "ldots": "…", "dots": "…", "cdots": "⋯", "langle": "⟨", "rangle": "⟩", "succeq": "⪰",
    "preceq": "⪯", "succ": "≻", "|": "‖", "Vert": "‖", "vert": "|", "mid": "|", "{": "{", "}": "}", "%": "%",
    "_": "_", "&": "&", "#": "#", ",": " ", ";": " ", ":": " ", " ": " ", "quad": "  ", "qquad": "    ", "!": "",
}  # fmt: skip
_OPERATORS = {"partial": "∂", "nabla": "∇"}  # stand close to what they act on
_NAMES = frozenset("log exp max min sup inf arg lim sin cos tan sinh cosh tanh det dim ker sign tr Pr".split())
_ACCENTS = {"dot": "\u0307", "ddot": "\u0308", "hat": "\u0302", "bar": "\u0304", "tilde": "\u0303", "vec": "\u20d7"}
_PLAIN = frozenset({"mathrm", "mathit", "mathsf", "mathcal", "mathbf", "boldsymbol", "text", "textrm", "operatorname"})
_BLACKBOARD = str.maketrans("RCNZQEP", "ℝℂℕℤℚ𝔼ℙ")
_SUPERSCRIPTS = dict(
    zip("0123456789+-=()abcdefghijklmnoprstuvwxyz⊤", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ", strict=True)
)
_SUBSCRIPTS = dict(zip("0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_]|\s+|.", re.DOTALL)


def readable(text: str) -> str:
    """Text with formulas between dollar signs, as plain Unicode text on one line."""
    parts = re.split(r"\$([^$]+)\$", text)
    formulas = [_Formula(part).whole() if i % 2 else part for i, part in enumerate(parts)]
    line = " ".join(unicodedata.normalize("NFC", "".join(formulas)).split())
    return line.replace("′′", "″").replace("∇² ", "∇²")


class _Formula:
    def __init__(self, latex: str):
        self.tokens: list[str] = _TOKEN.findall(latex)

    def whole(self) -> str:
        out = self.text()
        while self.tokens:  # a brace that closes nothing stays where it is
            out += self.tokens.pop(0) + self.text()
        return out

    def text(self) -> str:
        """Up to a closing brace."""
        out = ""
        while self.tokens and self.tokens[0] != "}":
            out += self._next(out)
        return out

    def _next(self, before: str) -> str:
        token = self.tokens.pop(0)
        if token == "{":
            return self._close()
        if token == "^":
            return _raised(self._argument(), "^", _SUPERSCRIPTS)
        if token == "_":
            return _raised(self._argument(), "_", _SUBSCRIPTS)
        if token == "'":
            return "′"
        if token.startswith("\\"):
            return self._command(token[1:], token, before)
        return token

    def _command(self, name: str, token: str, before: str) -> str:
        if name in _OPERATORS:
            self._skip_space()
            return _OPERATORS[name]
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        if name in _NAMES:
            # \sum\log x, 2\log x: a name does not run into the word before it or after it.
            after = " " if self.tokens and re.match(r"[\w\\]", self.tokens[0]) else ""
            return (" " if before[-1:].isalnum() else "") + name + after
        if name in ("frac", "dfrac", "tfrac"):
            above, below = self._argument(), self._argument()
            after = " " if self.tokens and re.match(r"\w|\\[a-zA-Z]", self.tokens[0]) else ""
            return f"{_grouped(above)}/{_grouped(below)}{after}"
        if name == "sqrt":
            return "√" + _grouped(self._argument())
        if name in _ACCENTS:
            inside = self._argument()
            return inside[:1] + _ACCENTS[name] + inside[1:]
        if name in _PLAIN:
            return self._argument()
        if name == "mathbb":
            return self._argument().translate(_BLACKBOARD)
        if name in ("left", "right"):
            self._skip_space()
            if self.tokens and self.tokens[0] == ".":
                self.tokens.pop(0)
            return ""
        arguments = ""
        while self.tokens and self.tokens[0] == "{":
            arguments += f"{{{self._argument()}}}"
        return token + arguments

    def _argument(self) -> str:
        """What a command or a script acts on: a group in braces or one token."""
        self._skip_space()
        if not self.tokens:
            return ""
        if self.tokens[0] == "{":
            self.tokens.pop(0)
            return self._close()
        if self.tokens[0].startswith("\\"):
            return self._next("")
        # Of "12" in \frac12 only one digit is meant; the tokens are single characters already.
        return self.tokens.pop(0)

    def _close(self) -> str:
        inside = self.text()
        if self.tokens:
            self.tokens.pop(0)
        return inside

    def _skip_space(self) -> None:
        while self.tokens and self.tokens[0].isspace():
            self.tokens.pop(0)


def _raised(inside: str, mark: str, alphabet: dict[str, str]) -> str:
    inside = inside.strip()
    if all(character in alphabet for character in inside):
        return "".join(alphabet[character] for character in inside)
    return f"{mark}{inside}" if len(inside) == 1 or inside.isalnum() else f"{mark}({inside})"


def _grouped(part: str) -> str:
    """Brackets around a part of a fraction, unless it reads as one thing."""
    part = part.strip()
    return f"({part})" if re.search(r"[\s+\-/·]", part) or (part[:1].isdigit() and len(part) > 1) else part
