r"""Solutions of $(G_{SS} + \lambda_2 I) x = b$ for supports S and numbers lambda_2 that change little at a time.

One Cholesky factor serves them for as long as it pays: R of $R^\top R = G_{BB} + \lambda_0 I$, for a base B that has S
in it. Columns that join are appended to R, which costs no more than to have had them from the start. Columns of B that
are not in S have x = 0: $R x$ is to be orthogonal to $V = R^{-\top} E$, E being their unit vectors, so that
$R^{-\top} b$ is projected. Another lambda_2 gives $(R^\top R + (\lambda_2 - \lambda_0) I) x = b$, for which conjugate
gradients in the metric of $R^\top R$ need a few solutions with R and no product with G. When these have cost as much
as a factor, it is made anew.

Source: Golub and Van Loan, *Matrix Computations* (2013), 4.2 (Cholesky by blocks), 6.2 (least squares under equality
constraints) and 11.5 (conjugate gradients with a preconditioner).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dtrtrs

RIDGE = 1e-13  # of the mean of the diagonal, added first where the support's Gram matrix is singular
WORTH = 15  # columns of a factor for a pair of solutions with it, which cost about as much for so many
LEAST = 2  # pairs less, as small ones are calls of Python
USUAL = 6  # pairs that conjugate gradients take, before it is known
FORWARD = 4  # columns of V for such a pair, as they are found together
DEPENDENT = 1e-8  # of its square, that a column adds to a base, which would spoil what its other columns give
ACCURACY = 1e-14  # of what is left of b by conjugate gradients, in parts of b


class Factor:
    """The factor of a base, which is empty at first.

    Attributes:
        base: (m,), names of columns in the order of R.
        l2: lambda_0.
    """

    def __init__(self):
        self.base, self.l2 = np.zeros(0, int), 0.0
        self.place = np.zeros(0, int)  # of each column in the base, or -1
        self.R = np.zeros((0, 0), order="F")  # with room for more columns than there are
        self.rest, self.V = self.base, np.zeros((0, 0))  # places of the base that are not in S, and their basis
        self.spent = 0.0  # pairs of solutions, beyond one for each b
        self.usual = USUAL  # pairs for another l2

    def solved(self, gram: np.ndarray, support: np.ndarray, b: np.ndarray, l2: float) -> np.ndarray:
        """x, for columns of a Gram matrix; of what is near where that is singular."""
        if len(self.place) < len(gram):
            self.place = np.append(self.place, np.full(len(gram) - len(self.place), -1))
        new = support[self.place[support] < 0]
        size = len(self.base) + len(new)
        # A factor costs as much as so many pairs of solutions.
        left = max(size / WORTH - LEAST, 0.0) - self.spent
        expected = (size - len(support)) / FORWARD + (self.usual if l2 != self.l2 else 0)
        if len(self.base) and left >= expected and self.joined(gram, new):
            x = self.with_base(support, b, l2, left)
            if x is not None:
                return x
        self.anew(gram, support, l2)
        return self.pair(b)

    def with_base(self, support: np.ndarray, b: np.ndarray, l2: float, most: float) -> np.ndarray | None:
        """x, unless it takes more pairs of solutions than that."""
        size, places = len(self.base), self.place[support]
        self.leave(places)
        right = np.zeros(size)
        right[places] = b
        r, z = right, self.pair(right)
        if l2 == self.l2:
            return z[places]
        x, p, image, rise, pairs = np.zeros(size), z, r, r @ z, 0
        while not np.abs(r).max() <= ACCURACY * np.abs(right).max():
            if pairs >= most:
                self.usual += 1
                return None
            # R'R z is r, so that the image of p follows from these without a product.
            q = image + (l2 - self.l2) * p
            step = rise / (p @ q)
            x, r = x + step * p, r - step * q
            z, before, pairs = self.pair(r), rise, pairs + 1
            rise = r @ z
            p, image = z + rise / before * p, r + rise / before * image
        self.spent, self.usual = self.spent + pairs, pairs
        return x[places]

    def anew(self, gram: np.ndarray, support: np.ndarray, l2: float) -> None:
        """Make the factor of the support alone. One of dependent columns is spent: it serves for nothing else."""
        block = gram.take(support, 0).take(support, 1)
        diagonal = np.einsum("ii->i", block)
        diagonal += l2
        factor, share, changed = _cholesky(block), RIDGE, False
        while factor is None:
            diagonal += share * diagonal.mean()
            factor, share, changed = _cholesky(block), 100 * share, True
        self.place[self.base] = -1
        self.place[support] = np.arange(len(support))
        self.base, self.l2, self.R, self.rest = support, l2, factor, support[:0]
        self.spent = np.inf if changed or dependent(factor, diagonal) else 0.0

    def joined(self, gram: np.ndarray, new: np.ndarray) -> bool:
        """Append columns, unless the base would have nearly dependent columns."""
        if not len(new):
            return True
        rows = gram.take(new, 0)
        corner = rows.take(new, 1)
        diagonal = np.einsum("ii->i", corner)
        diagonal += self.l2
        squares, size = diagonal.copy(), len(self.base)
        above = dtrtrs(self.R[:, :size], rows.take(self.base, 1).T, trans=1)[0]
        corner -= above.T @ above
        factor = _cholesky(corner)
        if factor is None or dependent(factor, squares):
            return False
        self.append(new, above, factor)
        return True

    def append(self, new: np.ndarray, above: np.ndarray, corner: np.ndarray) -> None:
        size = len(self.base)
        end = size + len(new)
        if end > len(self.R):
            old, room = self.R, max(64, end + end // 2)
            self.R = np.zeros((room, room), order="F")
            self.R[:size, :size] = old[:size, :size]
        self.R[:size, size:end], self.R[size:end, size:end] = above, corner
        self.place[new] = np.arange(size, end)
        self.base = np.append(self.base, new)

    def leave(self, places: np.ndarray) -> None:
        """Have a basis of R^-T times the vectors that are 0 in these places."""
        size = len(self.base)
        if size == len(places):
            self.rest = self.rest[:0]
            return
        outside = np.ones(size, bool)
        outside[places] = False
        rest = outside.nonzero()[0]
        if not (size == len(self.V) and np.array_equal(rest, self.rest)):
            units = np.zeros((size, len(rest)), order="F")
            units[rest, np.arange(len(rest))] = 1.0
            self.V = np.linalg.qr(dtrtrs(self.R[:, :size], units, trans=1)[0])[0]
            self.spent += len(rest) / FORWARD
        self.rest = rest

    def pair(self, b: np.ndarray) -> np.ndarray:
        """x of R'R x = b, but for the rows of the rest, where x is 0."""
        R = self.R[:, : len(self.base)]
        t = dtrtrs(R, b, trans=1)[0]
        if len(self.rest):
            t -= self.V @ (t @ self.V)
        x = dtrtrs(R, t)[0]
        x[self.rest] = 0.0
        return x


def dependent(factor: np.ndarray, squares: np.ndarray) -> bool:
    """Whether a column adds nearly nothing to those before it."""
    return bool((factor.diagonal() ** 2 < DEPENDENT * squares).any())


def _cholesky(A: np.ndarray) -> np.ndarray | None:
    """The upper factor, if there is one. NumPy's: the threads of SciPy's own BLAS would wait for those of NumPy's."""
    try:
        return np.linalg.cholesky(A).T
    except np.linalg.LinAlgError:
        return None
