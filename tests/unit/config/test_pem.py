"""Blocks of PEM."""

import time

import pytest

from pylos.config.pem import PemError, blocks_of


def test_a_long_list_is_read_in_time_that_grows_with_it():
    """That is 8 MiB, of up to 64; twice the text took four times as long."""
    text = "-----BEGIN X509 CRL-----\n" + ("A" * 64 + "\n") * (1 << 17) + "-----END X509 CRL-----\n"
    began = time.process_time()
    (block,) = blocks_of(text)

    assert len(block.text) == len(text)
    assert time.process_time() - began < 15


def test_a_mark_of_pem_has_a_line_of_its_own():
    with pytest.raises(PemError, match="a mark of PEM that cannot be read"):
        blocks_of("-----BEGIN X-----x\n-----END X-----\n")
