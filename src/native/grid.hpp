// A screenful of characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "character.hpp"

namespace teleglyph {

// A line of text on a grid: code points, with kContinuation after each that is two columns wide.
struct Label {
    std::uint32_t x, y;
    Color foreground, background;
    std::vector<std::uint32_t> glyphs;
};

// One thread at a time; copying is cheap enough to keep what a viewer shows.
class CharacterGrid {
public:
    // Blank. Throws std::invalid_argument unless the sizes are within the limits of cells.hpp.
    CharacterGrid(std::int64_t columns, std::int64_t rows);

    std::uint32_t columns() const noexcept { return columns_; }
    std::uint32_t rows() const noexcept { return rows_; }

    Character* data() noexcept { return characters_.data(); }
    const Character* data() const noexcept { return characters_.data(); }
    std::size_t size() const noexcept { return characters_.size(); }

    // Throws std::invalid_argument if a label leaves the grid.
    void check(const Label& label) const;

    // Writes a label that has passed check().
    void put(const Label& label) noexcept;

    // Copy another grid's upper left part, and fill the rest with blanks. A wide glyph that is cut in half becomes a
    // blank.
    void take(const CharacterGrid& other) noexcept;

private:
    std::uint32_t columns_;
    std::uint32_t rows_;
    std::vector<Character> characters_;
};

// Throws std::invalid_argument unless a screen of this size is within the limits of cells.hpp.
void check_screen_size(std::int64_t columns, std::int64_t rows);

}  // namespace teleglyph
