#include "grid.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace teleglyph {

void check_screen_size(std::int64_t columns, std::int64_t rows) {
    if (columns < 1 || rows < 1 || columns > kMaxColumns || rows > kMaxRows || columns * rows > kMaxCharacters)
        throw std::invalid_argument("a canvas has 1 to " + std::to_string(kMaxColumns) +
                                    " columns and rows and at most " + std::to_string(kMaxCharacters) +
                                    " characters, not " + std::to_string(columns) + "x" + std::to_string(rows));
}

CharacterGrid::CharacterGrid(std::int64_t columns, std::int64_t rows)
    : columns_(static_cast<std::uint32_t>(columns)), rows_(static_cast<std::uint32_t>(rows)) {
    check_screen_size(columns, rows);
    characters_.assign(static_cast<std::size_t>(columns * rows), kBlank);
}

void CharacterGrid::check(const Label& label) const {
    if (label.y >= rows_ || label.x >= columns_ || label.glyphs.size() > columns_ - label.x)
        throw std::invalid_argument("a label of " + std::to_string(label.glyphs.size()) + " columns at column " +
                                    std::to_string(label.x) + ", row " + std::to_string(label.y) +
                                    " is not within a screen of " + std::to_string(columns_) + "x" +
                                    std::to_string(rows_));
}

void CharacterGrid::put(const Label& label) noexcept {
    Character* at = characters_.data() + static_cast<std::size_t>(label.y) * columns_ + label.x;
    for (const std::uint32_t glyph : label.glyphs) *at++ = {label.foreground, label.background, glyph, kExactLook};
}

void CharacterGrid::take(const CharacterGrid& other) noexcept {
    const std::uint32_t columns = std::min(columns_, other.columns_), rows = std::min(rows_, other.rows_);
    Character* row = characters_.data();
    const Character* source = other.characters_.data();
    for (std::uint32_t y = 0; y < rows_; ++y, row += columns_, source += other.columns_) {
        if (y >= rows) {
            std::fill(row, row + columns_, kBlank);
            source -= other.columns_;  // stays inside the other grid
            continue;
        }
        std::copy(source, source + columns, row);
        std::fill(row + columns, row + columns_, kBlank);
        if (columns < other.columns_ && source[columns].glyph == kContinuation) row[columns - 1] = kBlank;
    }
}

}  // namespace teleglyph
