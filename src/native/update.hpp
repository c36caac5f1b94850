// Encodes the changes from the grid that a viewer sees to the one it should see, and applies them.
//
// The layout of an update, with numbers as LEB128 unless a size is given:
//   glyphs      count, then for each: code point << 4 | kind of foreground << 2 | kind of background
//   places      a bit for each character of the screen, row by row from the lowest bit on: it changed. Bytes that are 0
//               are followed by how many of them there are (1 to 255); two zeros end the places.
//   indices     for each changed character its glyph, one byte, or two (low first) if there are more than 256 glyphs;
//               nothing if there is only one
//   foregrounds those of 24 bits: all reds, all greens, all blues; then those of the palette
//   backgrounds in the same way
// The kinds are those of ColorKind. Components of 24-bit colours are differences (modulo 256) to the colour that was
// there, or in a whole frame to the previous colour of the same plane, initially 0. Other colours count as 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "grid.hpp"
#include "style.hpp"

namespace teleglyph {

struct UpdateOptions {
    std::int32_t tolerance = 0;  // colours that differ by no more are left as they are (see difference())
    bool whole = false;          // send every character, even unchanged ones
    // Rows in which characters equal to those of `previous` are updated without tolerance.
    const CharacterGrid* previous = nullptr;
    std::uint32_t refine_begin = 0, refine_end = 0;
};

struct UpdateCounts {
    std::size_t changed = 0;
    std::size_t inexact = 0;  // characters that differ, but were not sent
};

// Keeps its working memory; one thread at a time.
class UpdateEncoder {
public:
    // Replaces `out` with the update from `shown` to `wanted`, which have equal sizes, and updates `shown` to match.
    // Grids hold the picture's own colours; the update holds those of the style's terminal.
    UpdateCounts encode(const CharacterGrid& wanted, CharacterGrid& shown, const Style& style,
                        const UpdateOptions& options, std::vector<char>& out);

private:
    std::vector<std::uint32_t> changed_;
    std::vector<std::uint8_t> mask_;
    std::vector<std::uint16_t> indices_;
    std::vector<std::uint8_t> planes_;
};

// The code points in an update. Throws std::invalid_argument if it does not begin with them.
std::vector<std::uint32_t> update_glyphs(std::string_view update);

// Applies an update to the grid. Colours become those of the terminal. `widths` has the columns of each of
// update_glyphs(): 0 turns a glyph into a question mark, 2 means that a kContinuation follows. A half without its other
// half becomes a blank. Throws std::invalid_argument for a malformed update; the grid is then unchanged.
void apply_update(std::string_view update, bool whole, std::string_view widths, CharacterGrid& grid);

// Bytes of the largest update for a screen of so many characters.
std::size_t update_bound(std::size_t characters) noexcept;

// A picture's character in the terminal's colours: within the style's palette, dithered if the style says so.
Character on_terminal(const Character& character, const Style& style, std::uint32_t x, std::uint32_t y) noexcept;
void convert_to_terminal(CharacterGrid& grid, const Style& style) noexcept;

}  // namespace teleglyph
