// What changed on a screen, as few bytes: from the grid that a viewer should see to the one it sees, and back.
//
// An update is, with numbers as LEB128 where they have no size:
//   glyphs      count, then for each: code point << 4 | kind of ink << 2 | kind of paper
//   places      a bit for each character of the screen, row by row from the lowest bit on: it changed. Bytes that are 0
//               are followed by how many of them there are (1 to 255); two zeros end the places.
//   indices     for each changed character its glyph, one byte, or two (low first) if there are more than 256 glyphs;
//               nothing if there is only one
//   inks        of the characters whose ink is of 24 bits: all reds, all greens, all blues; then those of the palette
//   papers      in the same way
// The kinds are those of ColorKind. Components of 24-bit colours are differences (modulo 256): to the colour that is
// there, or in a whole frame to the last colour of the same plane, at first 0; a colour that is not of 24 bits counts
// as 0.
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
    bool whole = false;          // send every character, whatever is shown
    // Rows in which characters that are equal to those of `previous` are brought up to date without tolerance.
    const CharacterGrid* previous = nullptr;
    std::uint32_t settle_begin = 0, settle_end = 0;
};

struct UpdateCounts {
    std::size_t changed = 0;
    std::size_t inexact = 0;  // characters that were left as they are although they differ
};

// Keeps its working memory; one thread at a time.
class UpdateEncoder {
public:
    // Replaces `out` with the update from `shown` to `wanted`, which have equal sizes, and makes `shown` what is seen
    // afterwards. Grids hold the picture's own colours; the update holds those of the style's terminal.
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

// Changes the grid as an update says. Colours become those of the terminal. `widths` has the columns of each of
// update_glyphs(): those with 0 become question marks; 2 belongs to glyphs that a kContinuation follows, and a half
// without its other half becomes a blank. Throws std::invalid_argument, with the grid as it was, if it is malformed.
void apply_update(std::string_view update, bool whole, std::string_view widths, CharacterGrid& grid);

// Bytes of the largest update for a screen of so many characters.
std::size_t update_bound(std::size_t characters) noexcept;

// The terminal's colours for what a picture has at a place: within the style's palette, dithered if it says so.
Character on_terminal(const Character& character, const Style& style, std::uint32_t x, std::uint32_t y) noexcept;
void convert_to_terminal(CharacterGrid& grid, const Style& style) noexcept;

}  // namespace teleglyph
