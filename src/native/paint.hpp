// Grids of terminal colours to text for a terminal.
#pragma once

#include <cstddef>
#include <memory>

#include "grid.hpp"

namespace teleglyph {

// Memory for text that is kept from frame to frame.
class TextBuffer {
public:
    // At least so many bytes, whatever they hold.
    char* reserve(std::size_t capacity) {
        if (capacity > capacity_) {
            bytes_ = std::make_unique_for_overwrite<char[]>(capacity);
            capacity_ = capacity;
        }
        return bytes_.get();
    }
    const char* data() const noexcept { return bytes_.get(); }
    std::size_t length = 0;

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t capacity_ = 0;
};

// Replaces `out` with text that makes a terminal that shows `shown` show `wanted`, which has the same size, and makes
// `shown` equal to it. The grid's upper left is the terminal's. Begins and ends without attributes; the cursor ends
// anywhere. Between changes the cursor moves the cheapest way; automatic margins have to be off, so that it stays on
// the last column. Only glyphs known to be one column wide are trusted to move the cursor by one.
void paint_changes(const CharacterGrid& wanted, CharacterGrid& shown, TextBuffer& out);

// Replaces `out` with all rows, joined by line feeds, without cursor movement and with no colour active at the end of
// a row that has a background.
void paint_all(const CharacterGrid& grid, TextBuffer& out);

}  // namespace teleglyph
