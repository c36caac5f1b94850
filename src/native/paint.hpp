// Grids of terminal colours to text for a terminal.
#pragma once

#include <cstddef>
#include <memory>

#include "grid.hpp"

namespace teleglyph {

// Memory for text that is kept from frame to frame.
class TextBuffer {
public:
    // At least this many bytes, with any content.
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

// Replaces `out` with text that turns a terminal's screen from `shown` into `wanted`, and makes `shown` equal to it.
// Both have the same size and begin at the terminal's upper left. The text begins and ends without attributes and
// leaves the cursor anywhere. Between changes the cursor moves the shortest way. Automatic margins have to be off, so
// that it stays on the last column. Only glyphs known to be one column wide are trusted to move the cursor by one.
void paint_changes(const CharacterGrid& wanted, CharacterGrid& shown, TextBuffer& out);

// Replaces `out` with all rows, joined by line feeds, without cursor movement and with no colour active at the end of
// a row that has a background.
void paint_all(const CharacterGrid& grid, TextBuffer& out);

}  // namespace teleglyph
