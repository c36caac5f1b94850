"""Converting HDR signals to SDR."""

import numpy as np
import pytest

from teleglyph.media.tone import Transfer, convert, cube, transfer_of


def greys(transfer: Transfer, peak: float = 1000.0) -> np.ndarray:
    steps = np.linspace(0, 1, 101)
    return convert(np.repeat(steps[:, None], 3, axis=1), transfer, peak)


@pytest.mark.parametrize("transfer", list(Transfer))
def test_black_is_black_white_is_white_and_brighter_stays_brighter(transfer: Transfer) -> None:
    levels = greys(transfer)
    assert levels[0].max() < 0.01
    assert levels[-1].min() > 0.99
    assert np.diff(levels[:, 0]).min() >= -1e-9
    assert np.ptp(levels, axis=1).max() < 0.01, "grey stays grey"


def test_a_brighter_film_is_compressed_more() -> None:
    bright = np.full((1, 3), 0.65)
    assert convert(bright, Transfer.PQ, 4000.0)[0, 0] < convert(bright, Transfer.PQ, 500.0)[0, 0]
    for absurd in (0.0, 1e9):
        assert np.isfinite(convert(bright, Transfer.PQ, absurd)).all()


def test_the_primaries_of_bt_709_keep_their_hues() -> None:
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    for channel in range(3):
        color = np.zeros(3)
        color[channel] = 0.5
        result = convert((to_2020 @ color)[None] ** (1 / 2.4), Transfer.SDR)[0]
        assert result[channel] == pytest.approx(0.5 ** (1 / 2.4), abs=0.01)
        assert np.delete(result, channel).max() < 0.12


def test_only_hdr_and_wide_colours_are_touched() -> None:
    assert transfer_of(16, 9) is Transfer.PQ
    assert transfer_of(18, 9) is Transfer.HLG
    assert transfer_of(1, 9) is Transfer.SDR
    assert transfer_of(1, 1) is None
    assert transfer_of(2, 2) is None


def test_the_table_has_a_row_for_every_corner_with_red_changing_fastest() -> None:
    lines = cube(Transfer.SDR).splitlines()
    assert lines[0] == "LUT_3D_SIZE 33"
    assert len(lines) == 1 + 33**3
    red = [float(value) for value in lines[33].split()]
    assert red[0] == 1.0
    assert red[2] == 0.0
