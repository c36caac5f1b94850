"""Whether compressing frames of text pays, with time as an argument."""

from teleglyph.call.text_link import TextLink

FRAME = 140_000


def test_nothing_is_compressed_while_nothing_is_held_up() -> None:
    link = TextLink()
    link.record_sent(FRAME)
    assert not link.wants_compression(FRAME, 1.0)


def test_a_link_on_which_it_saves_time_gets_compressed_frames() -> None:
    link = TextLink()
    link.record_sent(FRAME)
    link.record_block(0.5, 1.0)
    assert link.wants_compression(FRAME, 1.1)


def test_a_link_that_is_quicker_than_the_compressor_does_not() -> None:
    link = TextLink()
    link.record_sent(FRAME)
    link.record_block(0.0005, 1.0)
    assert not link.wants_compression(FRAME, 1.1)


def test_a_link_that_was_not_held_up_for_long_is_tried_without_again() -> None:
    link = TextLink()
    link.record_sent(FRAME)
    link.record_block(0.5, 1.0)
    assert link.wants_compression(FRAME, 10.0)
    assert not link.wants_compression(FRAME, 12.0)
