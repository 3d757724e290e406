"""The packaged data sets: bytes, totals, ranges, and equality with scikit-learn's copies where that is
installed.
"""

import csv
import io
from importlib.resources import files

import numpy as np
import pytest

from jaxderiv import data
from jaxderiv.data import regenerate


@pytest.mark.parametrize("name", sorted(data.SHA256))
def test_provenance_states_the_checksum_of_every_file(name):
    text = files("jaxderiv.data").joinpath("PROVENANCE.md").read_text(encoding="utf-8")
    assert f"`{name}`" in text
    assert data.SHA256[name] in text
    assert len(data._verified(name)) > 0


def test_every_data_file_has_a_checksum():
    packaged = {path.name for path in files("jaxderiv.data").iterdir() if path.name.endswith((".csv", ".npz"))}
    assert packaged == set(data.SHA256)


def test_a_changed_file_is_refused(monkeypatch):
    monkeypatch.setitem(data.SHA256, "galton.csv", "0" * 64)
    with pytest.raises(ValueError, match=r"galton\.csv has SHA-256 32c7333d.*expected 0000.*restore it"):
        data.galton()


def test_galton_totals():
    parent, child, count = data.galton()
    assert count.sum() == 928
    assert len(count) == 102
    by_parent = [count[parent == height].sum() for height in sorted(set(parent), reverse=True)]
    assert by_parent == [4, 19, 43, 68, 183, 219, 211, 78, 66, 23, 14]
    by_child = [count[child == height].sum() for height in sorted(set(child))]
    assert by_child == [5, 7, 32, 59, 48, 117, 138, 120, 167, 99, 64, 41, 17, 14]
    np.testing.assert_allclose(np.average(parent, weights=count), 68.3082, atol=5e-5)
    np.testing.assert_allclose(np.average(child, weights=count), 68.0885, atol=5e-5)
    deviations = np.sqrt(np.diag(np.cov(parent, child, fweights=count)))
    np.testing.assert_allclose(deviations, [1.7873, 2.5179], atol=5e-5)


def test_breast_cancer():
    table = data.breast_cancer()
    assert table.X.shape == (569, 30)
    assert table.X.dtype == np.float64
    assert np.isfinite(table.X).all()
    assert (np.sum(table.y == 1), np.sum(table.y == 0)) == (357, 212)
    assert len(set(table.features)) == 30
    assert table.features[0] == "mean radius"
    assert (table.X.std(axis=0) > 0).all()


def test_breast_cancer_reads_as_the_csv_module_reads_it():
    """numpy's parser and Python's agree on every decimal."""
    rows = list(csv.reader(io.StringIO(data._verified("breast_cancer.csv").decode())))[1:]
    assert np.array_equal(np.array(rows, dtype=float)[:, :-1], data.breast_cancer().X)


def test_digits():
    images, labels = data.digits()
    assert images.shape == (1797, 64)
    assert images.dtype == labels.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 16)
    assert list(np.bincount(labels)) == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_copies_are_those_of_scikit_learn(capsys):
    pytest.importorskip("sklearn")
    assert regenerate.differences() == []
    assert regenerate.main([]) == 0
    assert "equal" in capsys.readouterr().out


def test_a_difference_is_named(monkeypatch):
    pytest.importorskip("sklearn")
    images, labels = data.digits()
    monkeypatch.setattr(data, "digits", lambda: data.Digits(images[::-1], labels))
    assert regenerate.differences() == ["digits.X"]


def test_regenerate_refuses_what_it_does_not_know(capsys):
    assert regenerate.main(["--rewrite"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
